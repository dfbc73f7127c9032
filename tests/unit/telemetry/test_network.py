import math

import fake_system
import pytest

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.network import NetworkSource


def test_bytes_of_the_interfaces_that_are_not_down(tmp_path):
    root = fake_system.machine(tmp_path)
    source = NetworkSource(root / "proc", root / "sys")
    channels = source.open()
    assert [(c.device, c.name) for c in channels] == [
        ("lo", "received"),
        ("lo", "sent"),
        ("eth0:1", "received"),
        ("eth0:1", "sent"),
    ]
    assert all(c.unit == "B" and c.cumulative for c in channels)
    assert source.read() == [111, 222, 5_000_000, 7000]
    source.close()


def test_an_interface_that_was_taken_away_is_unknown(tmp_path):
    root = fake_system.machine(tmp_path)
    source = NetworkSource(root / "proc", root / "sys")
    source.open()
    fake_system.write(root, {"proc/net/dev": "\n".join(fake_system.NET_DEV.splitlines()[:3])})
    lo, eth = source.read()[:2], source.read()[2:]
    assert lo == [111, 222]
    assert all(math.isnan(value) for value in eth)
    source.close()


def test_no_interface_is_unavailable(tmp_path):
    fake_system.write(tmp_path, {"proc/net/dev": "\n".join(fake_system.NET_DEV.splitlines()[:2])})
    with pytest.raises(SensorUnavailable, match="no interface"):
        NetworkSource(tmp_path / "proc", tmp_path / "sys").open()
