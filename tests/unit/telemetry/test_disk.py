import math

import fake_system
import pytest

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.disk import DiskSource


def test_whole_disks_only_in_bytes_of_512_byte_sectors(tmp_path):
    root = fake_system.machine(tmp_path)
    source = DiskSource(root / "proc", root / "sys")
    channels = source.open()
    assert [(c.device, c.name, c.unit, c.cumulative) for c in channels] == [
        ("nvme0n1", "read", "B", True),
        ("nvme0n1", "written", "B", True),
    ]
    assert source.read() == [2000 * 512, 4000 * 512]
    source.close()


def test_a_disk_that_was_taken_away_is_unknown(tmp_path):
    root = fake_system.machine(tmp_path)
    source = DiskSource(root / "proc", root / "sys")
    source.open()
    fake_system.write(root, {"proc/diskstats": ""})
    assert all(math.isnan(value) for value in source.read())
    source.close()


def test_no_disk_is_unavailable(tmp_path):
    fake_system.write(tmp_path, {"proc/diskstats": ""})
    with pytest.raises(SensorUnavailable, match="no disk"):
        DiskSource(tmp_path / "proc", tmp_path / "sys").open()
