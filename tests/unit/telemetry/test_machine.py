import os
import subprocess
import sys

import fake_system
import msgspec
from fake_nvml import H200, FakeNvml

from tensordyno.records.machine import MachineFacts
from tensordyno.telemetry.machine import installed, machine_facts


def test_facts_of_another_root_and_driver(tmp_path):
    root = fake_system.machine(tmp_path)
    facts = machine_facts(root, FakeNvml(H200, H200), spin_rate=1.5)
    assert facts.cpu == "AMD EPYC 9654 96-Core Processor"
    assert facts.memory_bytes == 1_000_000 * 1024
    assert facts.gpus == ("NVIDIA H200", "NVIDIA H200")
    assert facts.virtual == "unnamed hypervisor"
    assert facts.container is None
    assert facts.spin_rate == 1.5


def test_facts_of_this_machine_survive_the_wire():
    facts = machine_facts()
    assert 1 <= facts.cores <= (os.cpu_count() or 1)
    assert facts.memory_bytes > 0
    assert facts.hostname and facts.os and facts.kernel and facts.cpu
    assert msgspec.json.decode(msgspec.json.encode(facts), type=MachineFacts) == facts


def test_versions_of_what_is_installed_only():
    versions = installed(("numpy", "no-such-distribution"))
    assert list(versions) == ["numpy"]


def test_asking_imports_no_framework():
    code = (
        "import sys; from tensordyno.telemetry.machine import machine_facts; machine_facts();"
        "print([m for m in ('torch', 'onnxruntime', 'openvino', 'onnx', 'triton') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
