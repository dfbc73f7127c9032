import math
from pathlib import Path

import pytest

from tensordyno.clock import FakeClock
from tensordyno.errors import StoreError
from tensordyno.records.reading import Channel, ChannelSet, DeviceFacts, Reading
from tensordyno.records.wire import encode_line
from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.replay import ReplaySource

GOLD = Path(__file__).parents[2] / "gold" / "nvml_h200.jsonl"
POWER = Channel(source="nvml", name="power", unit="W", device="gpu0")


def recording(tmp_path, *readings):
    path = tmp_path / "nvml.jsonl"
    records = [
        ChannelSet(source="nvml", channels=(POWER,)),
        DeviceFacts(source="nvml", device="gpu0", labels={"name": "Tesla T4"}),
        *(Reading(t_s=t_s, values=(value,)) for t_s, value in readings),
    ]
    path.write_bytes(b"".join(map(encode_line, records)))
    return path


def test_values_appear_when_they_were_recorded_and_end_with_the_recording(tmp_path):
    clock = FakeClock(1000.0)
    source = ReplaySource(recording(tmp_path, (50.0, 10.0), (50.1, None), (50.2, 30.0)), clock)
    assert source.open() == (POWER,)
    assert source.name == "nvml"
    assert source.devices()[0].labels == {"name": "Tesla T4"}
    assert source.read() == [10.0]
    clock.sleep(0.05)
    assert source.read() == [10.0]
    clock.sleep(0.07)
    assert math.isnan(source.read()[0])  # it was unknown then, too
    clock.sleep(0.0800001)
    assert math.isnan(source.read()[0])  # over


def test_the_h200_recording_plays_through():
    clock = FakeClock()
    source = ReplaySource(GOLD, clock)
    names = [channel.name for channel in source.open()]
    power_w = []
    while not math.isnan((values := source.read())[names.index("power_instant")]):
        power_w.append(values[names.index("power_instant")])
        clock.sleep(0.1)
    assert 115 < min(power_w) < 140  # idle
    assert max(power_w) > 600  # a matrix product


def test_a_missing_and_an_empty_recording_are_unavailable(tmp_path):
    with pytest.raises(SensorUnavailable, match="no recording at"):
        ReplaySource(tmp_path / "none.jsonl").open()
    with pytest.raises(SensorUnavailable, match="no readings"):
        ReplaySource(recording(tmp_path)).open()


def test_a_file_that_is_no_recording_is_named(tmp_path):
    path = tmp_path / "nvml.jsonl"
    path.write_text("power: 12\n")
    with pytest.raises(StoreError, match=r"nvml\.jsonl:1"):
        ReplaySource(path).open()
