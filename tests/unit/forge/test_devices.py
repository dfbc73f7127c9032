import pytest
import torch

from tensordyno.errors import Unsupported
from tensordyno.forge.devices import open_device
from tensordyno.forge.kernels.base import Target


def test_a_cpu_by_the_interpreter():
    device = open_device("cpu")
    assert device.target == Target(interpreted=True)
    assert device.torch == torch.device("cpu") and device.name == "cpu" and not device.is_gpu


def test_a_cpu_without_the_interpreter(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(Unsupported) as caught:
        open_device("cpu")
    assert "TRITON_INTERPRET=1" in caught.value.remedy


def test_a_gpu_with_the_interpreter(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(Unsupported, match="interpreter is switched on"):
        open_device("cuda:0")


@pytest.mark.parametrize("name", ["cuda:7", "cuda"])
def test_a_gpu_that_is_not_there(monkeypatch, name):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: name != "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(Unsupported, match=f"no GPU called {name}"):
        open_device(name)


def test_a_gpu(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    device = open_device("cuda")
    assert device.target == Target(capability=(9, 0)) and device.is_gpu
    assert device.torch == torch.device("cuda", 1) and device.name == "GPU 1"


def test_another_kind_of_device():
    with pytest.raises(Unsupported, match="not on mps"):
        open_device("mps")
