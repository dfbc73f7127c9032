import pynvml
import pytest
from fake_nvml import H200, FakeNvml, lacking

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.gpu_features import gpu_features

EXPECTED = {
    "Compute capability": "9.0",
    "Multiprocessors": "132",
    "Cores": "16,896",
    "Largest SM clock": "1,980 MHz",
    "Memory": "140 GiB",
    "Largest memory clock": "3,201 MHz",
    "Memory bus": "6,144 bit",
    "Memory bandwidth, theoretical": "4,917 GB/s",
    "ECC": "on",
    "PCIe, at most": "generation 5, 16 lanes",
    "PCIe, now": "generation 5, 16 lanes",
    "PCI address": "00000000:00:06.0",
    "Power limit": "700 W",
    "Power limit, default": "700 W",
    "Power limit, settable": "200 W to 700 W",
    "MIG": "off",
    "Compute mode": "default",
    "Persistence mode": "on",
    "Driver": "580.159.04",
    "CUDA of the driver": "13.0",
    "VBIOS": "96.00.C9.00.01",
    "NUMA node": "1",
    "CPUs nearby": "8-15, 64-65",
    "UUID": "GPU-00000000-0000-0000-0000-000000000000",
}
T4 = {
    **H200,
    "nvmlDeviceGetName": b"Tesla T4",
    "nvmlDeviceGetCudaComputeCapability": (7, 5),
    "nvmlDeviceGetNumGpuCores": 2560,
    "nvmlDeviceGetMaxClockInfo": {pynvml.NVML_CLOCK_SM: 1590, pynvml.NVML_CLOCK_MEM: 5001},
    "nvmlDeviceGetMemoryBusWidth": 256,
    "nvmlDeviceGetEnforcedPowerLimit": 60000,
    "nvmlDeviceGetMigMode": pynvml.NVMLError_NotSupported(),
}


def test_the_features_table_of_an_h200_in_the_order_of_a_page():
    library = FakeNvml(H200)
    (gpu,) = gpu_features(library)
    assert (gpu.device, gpu.name) == ("gpu0", "NVIDIA H200")
    assert list(gpu.features.items()) == list(EXPECTED.items())
    assert library.users == 0


def test_a_t4_beside_it_has_its_own_multiprocessors_and_the_datasheets_bandwidth():
    _, gpu = gpu_features(FakeNvml(H200, T4))
    told = gpu.features
    assert (gpu.device, gpu.name) == ("gpu1", "Tesla T4")
    assert (told["Multiprocessors"], told["Memory bandwidth, theoretical"]) == ("40", "320 GB/s")
    assert (told["Power limit"], told["Power limit, default"]) == ("60 W", "700 W")
    assert "MIG" not in told


@pytest.mark.parametrize("answer", [name for name in H200 if str(name).startswith("nvmlDeviceGet")])
def test_what_the_driver_cannot_tell_is_left_out_and_nothing_else(answer):
    found = gpu_features(FakeNvml(lacking(answer)))
    if answer == "nvmlDeviceGetName":
        assert found == ()
        return
    lost = set(EXPECTED) - set(found[0].features)
    assert len(lost) <= 3 and found[0].features.items() <= EXPECTED.items()


def test_a_driver_that_tells_only_a_name_gives_its_version_and_that():
    bare = {"nvmlDeviceGetName": "NVIDIA GPU"}
    (gpu,) = gpu_features(FakeNvml(bare))
    assert gpu.features == {"Driver": "580.159.04", "CUDA of the driver": "13.0"}


def test_a_binding_that_lacks_a_function_is_as_good_as_a_driver_that_does(monkeypatch):
    library = FakeNvml(H200)
    monkeypatch.delattr(FakeNvml, "nvmlSystemGetCudaDriverVersion_v2")
    monkeypatch.delattr(pynvml, "nvmlSystemGetCudaDriverVersion_v2")
    (gpu,) = gpu_features(library)
    assert set(EXPECTED) - set(gpu.features) == {"CUDA of the driver"}


def test_multiprocessors_of_an_unknown_architecture_are_not_guessed():
    (gpu,) = gpu_features(FakeNvml({**H200, "nvmlDeviceGetCudaComputeCapability": (99, 0)}))
    assert gpu.features["Cores"] == "16,896" and "Multiprocessors" not in gpu.features


def test_a_split_gpu_says_so():
    (gpu,) = gpu_features(FakeNvml({**H200, "nvmlDeviceGetMigMode": [1, 1]}))
    assert gpu.features["MIG"] == "on (split into slices)"


def test_a_gpu_that_may_not_be_asked_does_not_hide_the_others():
    closed = {**H200, "nvmlDeviceGetName": pynvml.NVMLError_NoPermission()}
    assert [gpu.device for gpu in gpu_features(FakeNvml(closed, H200))] == ["gpu1"]


def test_without_a_driver_there_is_a_reason():
    with pytest.raises(SensorUnavailable, match="Driver Not Loaded"):
        gpu_features(FakeNvml(driver_error=pynvml.NVMLError_DriverNotLoaded()))
