import math
from types import SimpleNamespace

import pynvml
import pytest
from fake_nvml import H200, FakeNvml, lacking

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.nvml import NvmlSource

EXPECTED = {
    ("pstate", "1"): 0,
    ("utilisation_gpu", "%"): 100,
    ("utilisation_memory", "%"): 25,
    ("memory_total", "B"): 150754820096,
    ("memory_free", "B"): 147800064000,
    ("memory_used", "B"): 2309816320,
    ("temperature", "degC"): 57,
    ("pcie_gen_max", "1"): 5,
    ("pcie_width_max", "1"): 16,
    ("pcie_gen", "1"): 5,
    ("pcie_width", "1"): 16,
    ("sm_clock", "Hz"): 1.5e9,
    ("memory_clock", "Hz"): 3.201e9,
    ("throttle_reasons", "1"): 4,
    ("power", "W"): 690.997,
    ("power_instant", "W"): 724.6,
    ("power_average", "W"): 690.997,
    ("power_limit", "W"): 700,
    ("energy", "J"): 3977.634,
}


def opened(library):
    source = NvmlSource(library)
    return source, source.open()


def readings(source, channels):
    return {(c.device, c.name): value for c, value in zip(channels, source.read(), strict=True)}


def test_every_field_of_one_gpu_in_the_units_of_its_channel():
    source, channels = opened(FakeNvml(H200))
    values = {(c.name, c.unit): value for c, value in zip(channels, source.read(), strict=True)}
    assert {key: values[key] for key in EXPECTED} == pytest.approx(EXPECTED)
    assert set(values) - set(EXPECTED) == {("pcie_tx", "B/s"), ("pcie_rx", "B/s"), ("other_processes", "1")}
    assert [c.name for c in channels if c.cumulative] == ["energy"]
    assert source.lacking() == ()
    source.close()


def test_pcie_traffic_comes_once_a_round_was_measured():
    source, channels = opened(FakeNvml(H200))
    first = readings(source, channels)
    assert math.isnan(first["gpu0", "pcie_tx"])
    source._meter.measure()  # what the meter's thread does after each reading
    later = readings(source, channels)
    assert later["gpu0", "pcie_tx"] == 789_000
    assert later["gpu0", "pcie_rx"] == 665_000
    source.close()


def test_a_quantity_that_one_gpu_lacks_is_unknown_there_and_only_there():
    p40 = lacking("nvmlDeviceGetTotalEnergyConsumption", pynvml.NVML_FI_DEV_POWER_INSTANT)
    source, channels = opened(FakeNvml(H200, p40))
    values = readings(source, channels)
    assert values["gpu0", "energy"] == 3977.634
    assert math.isnan(values["gpu1", "energy"])
    assert math.isnan(values["gpu1", "power_instant"])
    assert values["gpu1", "power"] == 690.997
    assert source.lacking() == ("gpu1: power_instant: Not Supported", "gpu1: energy: Not Supported")
    source.close()


def test_what_a_gpu_cannot_tell_and_what_never_changes_is_asked_once():
    library = FakeNvml(lacking("nvmlDeviceGetTotalEnergyConsumption"))
    source, _ = opened(library)
    source.read()
    source.read()
    assert library.calls.count("nvmlDeviceGetTotalEnergyConsumption") == 1
    assert library.calls.count("nvmlDeviceGetMaxPcieLinkWidth") == 1
    assert library.calls.count("nvmlDeviceGetEnforcedPowerLimit") == 1
    assert library.calls.count("nvmlDeviceGetPowerUsage") == 3
    source.close()


def test_what_this_user_may_not_ask_is_lacking_with_the_reason_and_the_rest_is_read():
    forbidden = pynvml.NVMLError_NoPermission()
    gpu = {**H200, "nvmlDeviceGetTotalEnergyConsumption": forbidden, "nvmlDeviceGetUUID": forbidden}
    source, channels = opened(FakeNvml(gpu))
    assert source.lacking() == ("gpu0: energy: Insufficient Permissions",)
    values = readings(source, channels)
    assert math.isnan(values["gpu0", "energy"]) and values["gpu0", "power"] == 690.997
    (facts,) = source.devices()
    assert set(facts.labels) == {"name", "pci.bus_id", "driver_version"}
    source.close()


def test_a_passing_failure_is_one_unknown_value():
    gpu = dict(H200)
    source, channels = opened(FakeNvml(gpu))
    gpu["nvmlDeviceGetPowerUsage"] = pynvml.NVMLError_GpuIsLost()
    assert math.isnan(readings(source, channels)["gpu0", "power"])
    gpu["nvmlDeviceGetPowerUsage"] = 100_000
    assert readings(source, channels)["gpu0", "power"] == 100
    source.close()


def test_an_unknown_performance_state_is_unknown():
    source, channels = opened(FakeNvml({**H200, "nvmlDeviceGetPerformanceState": pynvml.NVML_PSTATE_UNKNOWN}))
    assert math.isnan(readings(source, channels)["gpu0", "pstate"])
    source.close()


def test_devices_bear_nvidia_smis_labels():
    source, _ = opened(FakeNvml(H200))
    (facts,) = source.devices()
    assert (facts.source, facts.device) == ("nvml", "gpu0")
    assert facts.labels == {
        "name": "NVIDIA H200",
        "pci.bus_id": "00000000:00:06.0",
        "driver_version": "580.159.04",
        "uuid": "GPU-00000000-0000-0000-0000-000000000000",
    }
    source.close()


def test_cuda_visible_devices_hides_nothing(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    source, channels = opened(FakeNvml(H200, H200))
    assert {c.device for c in channels} == {"gpu0", "gpu1"}
    source.close()


def test_watched_processes_are_no_neighbours_and_change_no_channel():
    ours, theirs = SimpleNamespace(pid=4242), SimpleNamespace(pid=99_999_999)
    source, channels = opened(FakeNvml({**H200, "nvmlDeviceGetComputeRunningProcesses": [ours, theirs]}))
    assert math.isnan(readings(source, channels)["gpu0", "other_processes"])  # one of them may be anybody's
    assert source.watch({4242: "torch"}) is None
    assert readings(source, channels)["gpu0", "other_processes"] == 1
    source.close()
    assert source.watch({1: "late"}) is None


def test_no_driver_is_unavailable_with_nvmls_reason():
    library = FakeNvml(driver_error=pynvml.NVMLError_DriverNotLoaded())
    with pytest.raises(SensorUnavailable, match="no NVIDIA driver: Driver Not Loaded"):
        NvmlSource(library).open()


def test_a_driver_without_a_gpu_is_unavailable_and_nvml_is_given_back():
    library = FakeNvml()
    with pytest.raises(SensorUnavailable, match="no GPU"):
        NvmlSource(library).open()
    assert library.users == 0


def test_closing_gives_nvml_back_once():
    library = FakeNvml(H200)
    source, _ = opened(library)
    assert library.users == 1
    source.close()
    source.close()
    assert library.users == 0
