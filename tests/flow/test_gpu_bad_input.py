"""GPUs that are not there or cannot be used: one clear line each, and the work for the CPU goes on."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
from fake_nvml import H200, FakeNvml
from flow_tools import QUICK, REAL, null, spec, write_spec

from tensordyno.plan.host import gpus
from tensordyno.store.reader import read_run

TORCH = ("infer", "lenet5_fashion", "--engine", "torch", "--no-report")


@pytest.fixture
def driver(monkeypatch):
    """A function that gives this machine a driver; without a call it has none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(*cards, **more):
        monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(*cards, **more))
        gpus.cache_clear()

    install(driver_error=pynvml.NVMLError_LibraryNotFound())
    yield install
    gpus.cache_clear()


def line_of(ended):
    """What stderr consists of: one line, no traceback."""
    assert ended.err.startswith("dyno: ") and ended.err.count("\n") == 1, ended
    return ended.err


def skips(dyno, *arguments):
    """The reasons that a dry run gives, one a trial."""
    ended = dyno(*arguments, "--dry-run")
    assert ended.status == 0 and ended.err == ""
    listed = " ".join(ended.out.split())  # as it was before the terminal wrapped it
    return re.findall(r"skip (\S+: .*?)(?= skip | \d+ trials,)", listed)


def test_a_machine_without_a_driver(dyno, driver):
    ended = dyno(*TORCH, "--device", "cuda:0", "-o", "run")
    assert ended.status == 1
    assert "There is no NVIDIA driver here" in line_of(ended)
    (skip,) = read_run(Path("run")).plan.skips
    assert "no NVIDIA driver" in skip.reason


def test_the_cpu_part_of_a_plan_runs_where_there_is_no_gpu(dyno, driver):
    path = write_spec(".", spec(["torch"], devices="cuda:0,cpu", measure=REAL))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.err == "" and ended.status == 0
    run = read_run(Path("run"))
    assert [o.trial.device for o in run.outcomes if o.verdict == "valid"] == ["cpu"]
    assert [skip.trial.device for skip in run.plan.skips] == ["cuda:0"]


def test_an_engine_that_simulates_runs_on_gpus_that_are_not_there(dyno, driver):
    path = write_spec(".", spec([null(), "torch"], devices=["cuda:3"], gpus=[1, 2]))
    assert [line.partition(":")[0] for line in skips(dyno, "run", path)] == [
        "lenet5_fashion-torch-fp32-b1-host-x1",
        "lenet5_fashion-torch-fp32-b1-host-x2",
    ]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (pynvml.NVMLError_DriverNotLoaded(), "modprobe nvidia"),
        (pynvml.NVMLError_LibRmVersionMismatch(), "restart the machine"),
        (pynvml.NVMLError_NoPermission(), "may not open /dev/nvidia*"),
        (pynvml.NVMLError_Unknown(), "no NVIDIA driver answers: Unknown Error"),
    ],
)
def test_a_driver_that_does_not_answer(dyno, driver, error, says):
    driver(driver_error=error)
    (line,) = skips(dyno, *TORCH, "--device", "cuda:0")
    assert says in line
    assert skips(dyno, *TORCH, "--device", "cpu") == []


MIG = {**H200, "nvmlDeviceGetMigMode": [1, 1], "nvmlDeviceGetMaxMigDeviceCount": 0}
PROHIBITED = {**H200, "nvmlDeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_PROHIBITED}
TAKEN = {
    **H200,
    "nvmlDeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS,
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=1, usedGpuMemory=2**30)],
}
LOST = {**H200, "nvmlDeviceGetName": pynvml.NVMLError_GpuIsLost()}


@pytest.mark.parametrize(
    ("cards", "asked", "says"),
    [
        ([], "cuda:0", "the NVIDIA driver shows no GPU"),
        ([H200, H200], "cuda:2", "cuda:2 does not exist: this machine has 2 NVIDIA GPUs"),
        ([H200, H200], "cuda:0 --gpus 3", "3 GPUs asked for from cuda:0 on: this machine has 2 NVIDIA GPUs"),
        ([MIG], "cuda", "nvidia-smi -i 0 -mig 0"),
        ([H200, PROHIBITED], "cuda:1", "nvidia-smi -i 1 -c DEFAULT"),
        ([TAKEN], "cuda:0", "in compute mode Exclusive_Process and taken (pid 1)"),
        ([LOST, H200], "cuda:0", "cuda:0 cannot be used: it fell off the bus"),
    ],
)
def test_a_gpu_that_cannot_be_used(dyno, driver, cards, asked, says):
    driver(*cards)
    (line,) = skips(dyno, *TORCH, "--device", *asked.split())
    assert says in line


def test_a_driver_older_than_pytorch_s_cuda_or_a_pytorch_without_it(dyno, driver):
    torch = pytest.importorskip("torch")
    driver(H200, cuda=10020)
    (line,) = skips(dyno, *TORCH, "--device", "cuda:0")
    built = torch.version.cuda
    assert ("speaks CUDA 10.2" if built else "was built without CUDA. Type: pip install") in line


def test_how_many_gpus_is_a_number(dyno, driver):
    for flags, says in (("0", "found 0"), ("x", "found 'x'"), ("1,,2", "found ''")):
        ended = dyno(*TORCH, "--gpus", flags)
        assert ended.status == 2 and "--gpus: gpus[" in ended.err and says in line_of(ended)
    text = write_spec(".", QUICK | {"engines": ["null"], "gpus": "1,two"})
    ended = dyno("run", text)
    assert ended.status == 2 and "spec.yaml:" in ended.err and "gpus[1]: found 'two'" in line_of(ended)
