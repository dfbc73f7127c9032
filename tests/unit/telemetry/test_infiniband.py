import math

import fake_system
import pytest

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.infiniband import InfinibandSource


def test_counters_are_octets_divided_by_four_lanes(tmp_path):
    root = fake_system.machine(tmp_path)
    source = InfinibandSource(root / "sys")
    channels = source.open()
    assert [(c.device, c.name, c.unit) for c in channels] == [
        ("mlx5_0/1", "received", "B"),
        ("mlx5_0/1", "sent", "B"),
    ]
    assert source.read() == [12_000, 4000]


def test_a_port_that_does_not_answer_is_unknown(tmp_path):
    root = fake_system.machine(tmp_path)
    source = InfinibandSource(root / "sys")
    source.open()
    fake_system.write(root, {"sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data": "N/A (no PMA)\n"})
    received, sent = source.read()
    assert math.isnan(received)
    assert sent == 4000


def test_no_adapter_is_unavailable(tmp_path):
    with pytest.raises(SensorUnavailable, match="no InfiniBand adapter"):
        InfinibandSource(tmp_path).open()
