from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tensordyno.records.reading import Channel, DeviceFacts
from tensordyno.store.reader import Series, read_devices, read_series
from tensordyno.telemetry.nvidia_smi_csv import T4_QUERY, nvidia_smi_csv

GOLD = Path(__file__).parents[2] / "gold"
RECORDING = GOLD / "nvml_h200.jsonl"  # taken by our sampler on an H200 ...
NVIDIA_SMI = GOLD / "nvidia_smi_h200.csv"  # ... while nvidia-smi printed this beside it,
NVIDIA_SMI_POWER = GOLD / "nvidia_smi_h200_power.csv"  # and this
EXPORT = GOLD / "nvidia_smi_export.csv"
# The wall clock and the monotonic clock of that machine, read together.
STARTED, CLOCK_START_S = datetime.fromtimestamp(1795262110.4599862, UTC), 40.127296321
FIXED = ("name", "pci.bus_id", "driver_version", "pstate", "pcie.link.gen.max", "pcie.link.gen.current")


def export(**options):
    return nvidia_smi_csv(read_series(RECORDING), read_devices(RECORDING), STARTED, CLOCK_START_S, **options)


def table(text):
    heading, *lines = text.splitlines()
    names = heading.split(", ")
    return names, [dict(zip(names, line.split(", "), strict=True)) for line in lines]


def test_gold_file_of_the_full_query():
    actual = export()
    if actual != EXPORT.read_text():
        EXPORT.with_suffix(".actual.csv").write_text(actual)
    assert actual == EXPORT.read_text()


def test_same_headings_and_same_values_as_nvidia_smi_itself_printed():
    names, ours = table(export(query=T4_QUERY))
    their_names, theirs = table(NVIDIA_SMI.read_text())
    assert names == their_names
    for name in (*FIXED, "memory.total [MiB]"):
        assert {row[name] for row in ours} == {row[name] for row in theirs}
    for name in ("memory.free [MiB]", "memory.used [MiB]", "utilization.gpu [%]"):
        assert {row[name] for row in theirs} == {row[name] for row in ours}
    assert {len(row["timestamp"]) for row in ours} == {len(row["timestamp"]) for row in theirs}


def test_powers_and_clocks_are_printed_as_nvidia_smi_does():
    names, ours = table(export())
    their_names, theirs = table(NVIDIA_SMI_POWER.read_text())
    assert set(their_names) <= set(names)
    for name in their_names[1:]:  # the two sampled at different moments, and values stand for 100 ms
        known = {row[name] for row in ours}
        assert sum(row[name] in known for row in theirs) >= 0.93 * len(theirs), name


def test_values_at_the_same_moment_agree_with_nvidia_smi():
    _, ours = table(export(query=T4_QUERY))
    _, theirs = table(NVIDIA_SMI.read_text())
    at = {row["timestamp"]: row for row in ours}
    moments = np.array([stamp(t) for t in at])
    agreeing = 0
    for row in theirs:
        nearest = list(at)[int(np.argmin(abs(moments - stamp(row["timestamp"]))))]
        agreeing += at[nearest]["memory.used [MiB]"] == row["memory.used [MiB]"]
    assert agreeing >= len(theirs) - 1  # at most the one reading beside the allocation


def stamp(text):
    return datetime.strptime(text, "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()


def series(device, name, *values):
    channel = Channel(source="nvml", name=name, unit="1", device=device)
    return Series(channel, np.arange(len(values), dtype=float), np.array(values))


def test_two_gpus_interleave_and_what_is_unknown_says_so():
    devices = [
        DeviceFacts(source="nvml", device="gpu0", labels={"name": "Tesla T4"}),
        DeviceFacts(source="cpu", device="gpu1", labels={"name": "not a GPU"}),
    ]
    text = nvidia_smi_csv(
        [series("gpu0", "power", 70.1, np.nan), series("gpu1", "power", 33.333, 34.0)],
        devices,
        datetime(2019, 5, 1, 12, 0, 0, 250_000, UTC),
        0.0,
        query=("timestamp", "name", "power.draw", "clocks_event_reasons.active"),
    )
    assert text == (
        "timestamp, name, power.draw [W], clocks_event_reasons.active\n"
        "2019/05/01 12:00:00.250, Tesla T4, 70.10 W, [N/A]\n"
        "2019/05/01 12:00:00.250, [N/A], 33.33 W, [N/A]\n"
        "2019/05/01 12:00:01.250, Tesla T4, [N/A], [N/A]\n"
        "2019/05/01 12:00:01.250, [N/A], 34.00 W, [N/A]\n"
    )


def test_readings_of_other_sources_are_left_out():
    other = Series(Channel(source="cpu", name="power", unit="W"), np.zeros(1), np.ones(1))
    assert nvidia_smi_csv([other], [], STARTED, 0.0, query=("timestamp", "pstate")) == "timestamp, pstate\n"


def test_an_unknown_column_is_refused_by_name():
    with pytest.raises(ValueError, match=r"power\.drawn.*known: timestamp"):
        nvidia_smi_csv([], [], STARTED, 0.0, query=("power.drawn",))
