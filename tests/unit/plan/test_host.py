import ctypes.util
import sys

from tensordyno.plan.host import Host, count_gpus, has_glibc, has_package


def test_an_installed_package_is_found_without_importing_it():
    sys.modules.pop("this", None)
    assert has_package("this") and has_package("numpy")
    assert "this" not in sys.modules
    assert not has_package("no_such_package_anywhere")


def test_the_c_library_is_glibc_exactly_when_it_answers_to_its_name():
    assert has_glibc() == hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


def test_gpus_are_counted_and_none_is_no_error():
    counted = Host().count_gpus()
    assert counted == count_gpus() >= 0
    if ctypes.util.find_library("nvidia-ml") is None:
        assert counted == 0
