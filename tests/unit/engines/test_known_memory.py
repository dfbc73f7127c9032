import pytest

from tensordyno.engines.known_memory import KnownMemory
from tensordyno.engines.out_of_memory import OutOfMemory, shortage_of
from tensordyno.records.memory import Shortage


def test_what_fits_is_held_and_remembered_until_it_is_released():
    memory = KnownMemory(100)
    memory.hold(100)
    memory.hold(30)
    assert memory.peak_bytes == 100
    memory.release()
    assert memory.peak_bytes == 0


def test_what_does_not_fit_is_refused_with_figures():
    memory = KnownMemory(100)
    with pytest.raises(OutOfMemory, match="101 B were asked for, 100 B are free") as raised:
        memory.hold(101)
    assert shortage_of(raised.value) == Shortage(asked_bytes=101, free_bytes=100, total_bytes=100)
    assert memory.peak_bytes == 0


def test_nothing_is_endless():
    memory = KnownMemory(0)
    memory.hold(2**60)
    assert memory.peak_bytes == 2**60
