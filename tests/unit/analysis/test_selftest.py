"""The self-test passes a right instrument and catches one that is broken on purpose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.scores import score, scores
from tensordyno.analysis.selftest import (
    FAKE_CLOCK,
    REAL_CLOCK,
    KnownCost,
    check_energy,
    check_percentiles,
    check_run,
    check_summary,
    check_time,
    judge,
    known_cost,
    require,
)
from tensordyno.analysis.summary import flat
from tensordyno.errors import InstrumentError
from tensordyno.records.trial import Measurement

from .builders import burst, changed, latencies_of, outcome, run, trial

COST = KnownCost(batch_s=0.002 + 8 * 0.001, batch_size=8)
ASKED = trial(
    "null",
    engine="null",
    options={"cost_s": 0.002, "per_image_s": 0.001},
    measurement=Measurement(clock="fake"),
)
RAN = tuple(burst(start_s=i, duration_s=0.5, batches=50, images=400) for i in range(6))
RIGHT = outcome(ASKED, measured=RAN)
ROW = flat(score(RIGHT, latencies_of(RAN)))


def broken(findings):
    return {f.name.partition(": ")[2] for f in findings if not f.passed}


def test_known_cost_of_a_null_trial():
    assert known_cost(ASKED) == COST
    assert COST.images_per_s == pytest.approx(800)
    assert known_cost(trial(engine="null", options={"depth": 2})).images_per_s == pytest.approx(2 * 8 / 0.001)
    for unknown in (trial(), trial(engine="null", options={"noise": 0.1})):
        with pytest.raises(ValueError, match="not known"):
            known_cost(unknown)


def test_a_right_instrument_passes(tmp_path):
    stored = run(tmp_path, [RIGHT])
    findings = check_run(stored, scores(stored))
    assert len(findings) == 6
    assert broken(findings) == set()
    require(findings)


BREAKS = {
    "seconds taken for milliseconds": (
        {"latency_p50_s": 10.0, "latency_mean_s": 10.0},
        {"latency p50, s", "latency mean, s", "throughput x latency, images"},
    ),
    "throughput a thousand times too large": (
        {"images_per_s": 800e3},
        {"throughput, images/s", "throughput x latency, images"},
    ),
    "throughput per step instead of per image": (
        {"images_per_s": 100.0},
        {"throughput, images/s", "throughput x latency, images"},
    ),
    "everything in milliseconds": (
        {"images_per_s": 0.8, "latency_p50_s": 10.0, "latency_mean_s": 10.0},
        {"throughput, images/s", "latency p50, s", "latency mean, s"},
    ),
    "no number at all": (
        {"images_per_s": None},
        {"throughput, images/s", "throughput x latency, images"},
    ),
    "three percent too slow": (
        {"images_per_s": 776.0},
        {"throughput, images/s", "throughput x latency, images"},
    ),
}


@pytest.mark.parametrize("mistake", BREAKS)
@pytest.mark.parametrize("bounds", [FAKE_CLOCK, REAL_CLOCK])
def test_a_broken_number_is_caught(mistake, bounds):
    wrong, names = BREAKS[mistake]
    findings = check_summary(ROW | wrong, COST, bounds, "null")
    assert broken(findings) == names
    with pytest.raises(InstrumentError) as caught:
        require(findings)
    assert caught.value.slug == "selftest-failed"


def test_facts_counted_by_the_step_are_caught():
    per_step = [changed(b, images=b.batches) for b in RAN]
    assert broken(check_time(per_step, COST, REAL_CLOCK, "null")) == {"images of a batch"}


def test_a_clock_in_milliseconds_is_caught():
    slow = [changed(b, start_s=1e3 * b.start_s, stop_s=1e3 * b.stop_s) for b in RAN]
    assert broken(check_time(slow, COST, REAL_CLOCK, "null")) == {"wall-clock time of a batch, s"}


def test_nothing_measured_is_caught():
    assert len(broken(check_time([], COST, REAL_CLOCK, "null"))) == 2


def test_batches_side_by_side():
    cost = KnownCost(batch_s=0.01, batch_size=8, depth=2)
    ran = [burst(start_s=i, duration_s=0.5, batches=100, images=800) for i in range(6)]
    assert broken(check_time(ran, cost, REAL_CLOCK, "null")) == set()


def test_percentiles_and_energy_of_this_build_are_right():
    for findings in (check_percentiles(), check_energy()):
        assert [f for f in findings if not f.passed] == []
    assert len(check_percentiles()) == 3
    assert len(check_energy()) == 7


@given(st.floats(1e-6, 1e6), st.floats(-0.5, 0.5), st.floats(1e-6, 0.4))
def test_judged_by_the_relative_error(expected, error, bound):
    finding = judge("x", expected, expected * (1 + error), bound)
    assert finding.error == pytest.approx(error, abs=1e-9)
    assert finding.passed == (abs(finding.error) <= bound)


@pytest.mark.parametrize("measured", [None, float("nan"), float("inf")])
def test_no_number_never_passes(measured):
    finding = judge("x", 1.0, measured, 1e9)
    assert not finding.passed
    assert finding.measured is None


@pytest.mark.parametrize("expected", [0.0, float("inf"), float("nan")])
def test_nothing_to_compare_with(expected):
    with pytest.raises(ValueError, match="relative error"):
        judge("x", expected, 1.0, 0.1)


def test_the_first_broken_bound_is_named():
    findings = [judge("good", 1, 1, 0.1), judge("throughput", 800, 100, 0.02), judge("p50", 1, 2, 0.1)]
    with pytest.raises(
        InstrumentError, match=r"throughput: 100 measured, 800 expected, bound 0.02 \(1 more\)"
    ):
        require(findings)
    require(findings[:1])
