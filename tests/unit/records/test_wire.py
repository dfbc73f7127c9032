"""What crosses a process or a disk comes back equal, or is refused with its place."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.errors import StoreError
from tensordyno.records import messages, wire
from tensordyno.records.burst import Burst, Probe
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import Reading
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.vocabulary import Precision, Verdict

finite = st.floats(allow_nan=False, allow_infinity=False)
probes = st.builds(Probe, rate=finite, loss=finite)
bursts = st.builds(
    Burst,
    start_s=finite,
    stop_s=finite,
    batches=st.integers(0, 10**9),
    images=st.integers(0, 10**12),
    before=st.none() | probes,
    after=st.none() | probes,
    contended=st.booleans(),
)
trials = st.builds(
    Trial,
    id=st.text(min_size=1),
    model=st.text(min_size=1),
    engine=st.builds(
        EngineChoice, name=st.text(min_size=1), options=st.dictionaries(st.text(), st.integers())
    ),
    precision=st.sampled_from(Precision),
    batch_size=st.integers(1, 4096),
)
outcomes = st.builds(
    Outcome,
    trial=trials,
    verdict=st.sampled_from(Verdict),
    reason=st.text(),
    last_words=st.text(),
    bursts=st.lists(bursts, max_size=4).map(tuple),
)


@given(outcomes)
def test_an_outcome_survives_the_wire(outcome):
    line = wire.encode_line(outcome)
    assert line.count(b"\n") == 1
    assert wire.decode_line(line) == outcome


@given(st.floats(allow_nan=False, allow_infinity=False), st.lists(st.none() | finite, max_size=5))
def test_a_reading_keeps_what_could_not_be_read_apart_from_zero(t_s, values):
    reading = Reading(t_s=t_s, values=tuple(values))
    assert wire.decode_line(wire.encode_line(reading)) == reading


@given(trials, st.text())
def test_orders_and_reports_survive_the_pipe(trial, folder):
    order = messages.BuildOrder(trial=trial, folder=folder)
    assert wire.decode_order(wire.encode_message(order)) == order
    report = messages.FailureReport(error="X", slug="y", sentence=folder)
    assert wire.decode_report(wire.encode_message(report)) == report


def test_a_newer_schema_is_refused_with_its_place_and_remedy():
    line = json.dumps({"schema": 99, "kind": "outcome", "data": {}}).encode()
    with pytest.raises(StoreError) as caught:
        wire.decode_line(line, "records.jsonl:3")
    assert caught.value.slug == "unknown-schema"
    assert "records.jsonl:3" in caught.value.line() and "pip install --upgrade" in caught.value.line()


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b'{"schema":1,"kind":"poem","data":{}}', b'{"schema":1,"kind":"outcome","data":{}}'],
)
def test_a_broken_line_is_one_error_that_names_it(line):
    with pytest.raises(StoreError) as caught:
        wire.decode_line(line, "here:1")
    assert "here:1" in caught.value.sentence


def test_an_older_schema_is_upgraded_step_by_step(monkeypatch):
    monkeypatch.setattr(wire, "SCHEMA", 3)
    first = lambda kind, data: {**data, "trial": data["test"]}  # noqa: E731
    second = lambda kind, data: {k: v for k, v in data.items() if k != "test"}  # noqa: E731
    monkeypatch.setattr(wire, "_UPGRADES", {1: first, 2: second})
    trial = {"id": "a", "model": "m", "engine": {"name": "null"}, "precision": "fp32", "batch_size": 1}
    line = json.dumps({"schema": 1, "kind": "outcome", "data": {"test": trial, "verdict": "valid"}}).encode()
    assert wire.decode_line(line).trial.id == "a"


def test_fields_of_a_newer_writer_are_tolerated():
    outcome = Outcome(
        trial=Trial(
            id="t", model="m", engine=EngineChoice(name="null"), precision=Precision.FP32, batch_size=1
        ),
        verdict=Verdict.VALID,
    )
    body = msgspec.json.decode(wire.encode_line(outcome))
    body["data"]["from_the_future"] = 1
    assert wire.decode_line(msgspec.json.encode(body)) == outcome
