import math

import fake_system
import psutil

from tensordyno.telemetry.memory import MemorySource


def test_used_is_total_less_available(tmp_path):
    fake_system.write(tmp_path, {"meminfo": fake_system.MEMINFO})
    source = MemorySource(tmp_path)
    assert [(c.name, c.unit) for c in source.open()] == [
        ("used", "B"),
        ("available", "B"),
        ("swap_used", "B"),
    ]
    assert source.read() == [400_000 * 1024, 600_000 * 1024, 50_000 * 1024]
    source.close()


def test_what_the_kernel_does_not_tell_is_unknown(tmp_path):
    fake_system.write(tmp_path, {"meminfo": "MemTotal: 1000 kB\n"})
    source = MemorySource(tmp_path)
    source.open()
    assert all(math.isnan(value) for value in source.read())
    source.close()


def test_agrees_with_psutil_on_this_machine():
    source = MemorySource()
    source.open()
    used, available, _ = source.read()
    assert used + available == psutil.virtual_memory().total
    source.close()
