import pytest

from tensordyno.engines.device_facts import cpu_flags, cpu_name, device_name

X86 = """processor\t: 0
model name\t: AMD EPYC 9654 96-Core Processor
flags\t\t: fpu avx512f avx512_bf16

processor\t: 1
model name\t: something else
flags\t\t: none
"""
ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd asimdhp bf16
CPU part\t: 0xd40
"""


@pytest.fixture
def cpuinfo(tmp_path):
    def write(text):
        path = tmp_path / "cpuinfo"
        path.write_text(text)
        return path

    return write


def test_x86(cpuinfo):
    path = cpuinfo(X86)
    assert cpu_name(path) == "AMD EPYC 9654 96-Core Processor"
    assert cpu_flags(path) == {"fpu", "avx512f", "avx512_bf16"}


def test_arm_has_no_model_name(cpuinfo):
    path = cpuinfo(ARM)
    assert cpu_name(path) == "0xd40"
    assert "bf16" in cpu_flags(path)


def test_a_system_that_does_not_tell(tmp_path):
    assert cpu_name(tmp_path / "missing") == "cpu"
    assert cpu_flags(tmp_path / "missing") == frozenset()


def test_device_name_of_this_cpu():
    assert device_name("cpu") == cpu_name()


def test_a_gpu_that_nobody_knows_keeps_its_device_string():
    assert device_name("cuda:4095") == "cuda:4095"
