import ctypes.util
import sys

from tensordyno.plan.host import Host, gpus, has_glibc, has_package


def test_an_installed_package_is_found_without_importing_it():
    sys.modules.pop("this", None)
    assert has_package("this") and has_package("numpy")
    assert "this" not in sys.modules
    assert not has_package("no_such_package_anywhere")


def test_the_c_library_is_glibc_exactly_when_it_answers_to_its_name():
    assert has_glibc() == hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


def test_without_a_driver_there_is_a_reason_and_no_error():
    found = Host().gpus()
    assert found is gpus()  # asked once
    assert bool(found.reason) != bool(found.states)
    if ctypes.util.find_library("nvidia-ml") is None:
        assert "NVIDIA driver" in found.reason


def test_cuda_visible_devices_unset_is_not_empty(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert Host().visible_devices() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert Host().visible_devices() == ""
