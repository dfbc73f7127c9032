import importlib

import pynvml
import pytest
from fake_nvml import H200, FakeNvml

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.nvml_library import gpu_names, start_nvml


def test_names_of_all_gpus_and_nvml_is_given_back():
    library = FakeNvml(H200, {**H200, "nvmlDeviceGetName": b"Tesla T4"})
    assert gpu_names(library) == ("NVIDIA H200", "Tesla T4")
    assert library.users == 0


def test_no_driver_means_no_names():
    assert gpu_names(FakeNvml(driver_error=pynvml.NVMLError_LibraryNotFound())) == ()


def test_a_gpu_that_fell_off_the_bus_means_no_names():
    library = FakeNvml({**H200, "nvmlDeviceGetName": pynvml.NVMLError_GpuIsLost()})
    assert gpu_names(library) == ()
    assert library.users == 0


def test_a_missing_binding_says_what_to_type(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SensorUnavailable, match="pip install nvidia-ml-py"):
        start_nvml()
