"""GPUs and ceilings as the doctor tells them, from a driver that is made up."""

import pynvml
import pytest
from fake_nvml import H200, FakeNvml

from tensordyno.cli import doctor_gpus
from tensordyno.cli.doctor_gpus import print_ceilings, print_gpus, usable
from tensordyno.records.device import Ceiling, DevicePage
from tensordyno.telemetry.gpu_features import gpu_features
from tensordyno.telemetry.gpu_state import gpu_states

USED = [pynvml.c_nvmlProcessInfo_t(pid=4242, usedGpuMemory=2 * 2**30)]


@pytest.fixture
def told(capsys, monkeypatch):
    """What is printed about these GPUs, with single blanks."""

    def tell(*gpus, **options):
        library = FakeNvml(*gpus, **options)
        monkeypatch.setattr(doctor_gpus, "gpu_features", lambda: gpu_features(library))
        states = gpu_states(library)
        print_gpus(states)
        return states, " ".join(capsys.readouterr().out.split())

    return tell


def test_a_gpu_with_its_features_and_nothing_in_the_way(told):
    states, shown = told(H200)
    assert "gpu0 NVIDIA H200 compute capability 9.0, 132 multiprocessors, 1,980 MHz at most, 140 GiB" in shown
    assert "power limit 700 W, settable 200 W to 700 W, PCIe generation 5, 16 lanes now" in shown
    assert "ECC on, MIG off, compute mode default, persistence mode on, driver 580.159.04, CUDA 13.0" in shown
    assert "nvidia-smi" not in shown and "in use" not in shown
    assert usable(states) == ["cuda:0"]


def test_what_stands_in_the_way_is_named_with_what_to_type(told):
    split = {**H200, "nvmlDeviceGetMigMode": [1, 1]}
    closed = {**H200, "nvmlDeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS}
    busy = {**H200, "nvmlDeviceGetComputeRunningProcesses": USED}
    lost = {**H200, "nvmlDeviceGetName": pynvml.NVMLError_GpuIsLost()}
    states, shown = told(split, closed, busy, lost)
    assert "MIG slices; only whole GPUs are measured: nvidia-smi -i 0 -mig 0" in shown
    assert "compute mode Exclusive_Process; to share it again: nvidia-smi -i 1 -c DEFAULT" in shown
    assert "gpu2 (NVIDIA H200) is in use by another process (pid 4242, 2.00 GiB)" in shown
    assert "cannot be used: it fell off the bus" in shown
    assert usable(states) == ["cuda:0", "cuda:1", "cuda:2"]


def test_without_a_driver_there_is_one_line(told):
    states, shown = told(driver_error=pynvml.NVMLError_DriverNotLoaded())
    assert shown.startswith("GPUs none: no NVIDIA driver answers") and usable(states) == []


def test_a_driver_without_gpus_says_so(told):
    assert told()[1] == "GPUs none: the NVIDIA driver shows no GPU"


def test_features_that_cannot_be_read_leave_the_name(capsys, monkeypatch):
    broken = FakeNvml(driver_error=pynvml.NVMLError_Unknown())
    monkeypatch.setattr(doctor_gpus, "gpu_features", lambda: gpu_features(broken))
    print_gpus(gpu_states(FakeNvml(H200)))
    assert " ".join(capsys.readouterr().out.split()).startswith("GPUs gpu0 NVIDIA H200")


def test_published_beside_measured_for_one_device_of_each_name(capsys, monkeypatch):
    asked = []

    def page(device, folder, measure):
        name = "EPYC" if device == "cpu" else "NVIDIA H200"
        asked.append((device, measure(name)))
        assert folder.is_dir()
        if device == "cpu":
            return DevicePage(device="cpu", name=name, reason="PyTorch is not installed")
        copy = Ceiling(what="copy", rate=4.29e12, how="1.00 GiB, median of 50")
        return DevicePage(device=device, name=name, ceilings=(copy,))

    monkeypatch.setattr(doctor_gpus, "device_page", page)
    print_ceilings(["cpu", "cuda:0", "cuda:1"])
    shown = " ".join(capsys.readouterr().out.split())
    assert asked == [("cpu", True), ("cuda:0", True), ("cuda:1", False)]
    assert "cpu: EPYC not measured: PyTorch is not installed" in shown
    assert "Copy inside the device 4.80 TB/s 4.29 TB/s 89.4 % 1.00 GiB, median of 50" in shown
    assert shown.count("NVIDIA H200 Tensor Core GPU datasheet") == 1
