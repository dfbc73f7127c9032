"""The answer: only VALID trials, only like with like, ties named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.best import best, latency_under, pareto
from tensordyno.analysis.scores import Score
from tensordyno.timing.intervals import Interval, unbounded
from tensordyno.vocabulary import Verdict

from .builders import changed, interval


def row(name, rate=100.0, p50=0.01, **fields):
    facts = {
        "trial": name,
        "task": "inference",
        "model": "resnet50",
        "engine": "e",
        "engine_name": "e",
        "precision": "fp32",
        "batch_size": 1,
        "devices": 1,
        "nodes": 1,
        "boundary": "host",
        "device": "cpu",
        "dataset": "synthetic",
        "verdict": Verdict.VALID,
        "images_per_s": interval(rate),
        "latency_p50_s": interval(p50),
        "latency_worst_s": 2 * p50,
        "batches": 100,
    }
    return Score(**(facts | fields))


def test_best_throughput_and_best_latency():
    (answer,) = best([row("a", 100, 0.010), row("b", 300, 0.100), row("c", 50, 0.005)])
    assert answer.throughput.score.trial == "b"
    assert answer.latency.score.trial == "c"
    assert answer.throughput.ties == ()
    assert answer.candidates == 3
    assert answer.under_bound is None


def test_only_valid_trials_are_ranked():
    others = [row(v.value, 1000, 1e-6, verdict=v) for v in Verdict if v is not Verdict.VALID]
    (answer,) = best([row("honest"), *others])
    assert answer.throughput.score.trial == answer.latency.score.trial == "honest"
    assert best(others) == ()


@pytest.mark.parametrize(
    "apart",
    [
        {"model": "vgg16"},
        {"boundary": "device"},
        {"devices": 2},
        {"device": "cuda:0"},
        {"task": "training"},
        {"nodes": 2},
        {"dataset": "fashion"},
    ],
)
def test_unlike_trials_are_never_compared(apart):
    answers = best([row("a", 100), row("b", 900, **apart)])
    assert sorted(a.throughput.score.trial for a in answers) == ["a", "b"]


def test_overlapping_intervals_are_ties_best_first():
    rows = [row("far", 90), row("near", 98.5), row("first", 100), row("nearer", 99.5)]
    assert best(rows)[0].throughput.ties == ("nearer", "near")
    blurred = changed(rows[0], images_per_s=unbounded(90.0))
    assert "far" in best([blurred, *rows[1:]])[0].throughput.ties


def test_under_a_bound_the_p99_decides():
    fast = row("fast", 900, 0.006, latency_p99_s=interval(0.012))
    good = row("good", 500, 0.005, latency_p99_s=interval(0.0065, 0.02))
    (answer,) = best([fast, good], latency_bound_s=0.007)
    found = answer.under_bound
    assert found.choice.score.trial == "good"
    assert (found.judged_on, found.latency_s, found.is_certain) == ("p99", 0.0065, True)
    close = changed(good, latency_p99_s=interval(0.0069, 0.05))
    assert best([fast, close], 0.007)[0].under_bound.is_certain is False


def test_without_a_p99_the_worst_batch_decides():
    few = row("few", 900, 0.003, latency_worst_s=0.0071)
    (answer,) = best([few], latency_bound_s=0.007)
    assert answer.under_bound is None
    found = best([few], latency_bound_s=0.0072)[0].under_bound
    assert found.judged_on == "worst of 100 batches"
    assert found.is_certain is False
    assert latency_under(row("none", latency_worst_s=None)) is None


def lossy(name, rate, drop, half=0.002, **fields):
    """An INT8 trial that loses this fraction of top-1."""
    difference = Interval(value=-drop, low=-drop - half, high=-drop + half)
    return row(name, rate, precision="int8", top1_difference=difference, **fields)


def test_a_fast_build_that_no_longer_classifies_is_not_recommended():
    rows = [row("exact", 100), lossy("good", 300, 0.004), lossy("broken", 400, 0.02, p50=0.001)]
    (answer,) = best(rows, latency_bound_s=1.0)
    assert answer.throughput.score.trial == "good"
    assert answer.under_bound.choice.score.trial == "good"
    assert answer.latency.score.trial != "broken"
    assert (answer.candidates, answer.set_aside) == (2, ("broken",))
    assert answer.throughput.ties == ()


def test_a_drop_that_is_not_beyond_doubt_is_named_and_not_judged():
    (answer,) = best([row("exact", 100), lossy("perhaps", 300, 0.02, half=0.03)])
    assert answer.throughput.score.trial == "perhaps" and answer.set_aside == ()
    assert answer.throughput.score.top1_difference.value == -0.02


def test_where_nothing_else_is_left_the_loss_is_ranked_after_all():
    (answer,) = best([lossy("a", 300, 0.05), lossy("b", 400, 0.02), row("u", 999, verdict=Verdict.UNSTABLE)])
    assert answer.throughput.score.trial == "b" and answer.set_aside == ()


def test_the_front_is_of_builds_that_still_classify():
    rows = [row("exact", 100, 0.01), lossy("broken", 400, 0.02, p50=0.001)]
    assert [s.trial for s in pareto(rows)] == ["exact"]
    assert [s.trial for s in pareto(rows[1:])] == ["broken"]


def test_right_answers_alone_are_no_answer_to_speed():
    assert best([row("t", task="accuracy", images_per_s=None, latency_p50_s=None)]) == ()


def test_no_latency_is_no_reason_to_lose_the_throughput():
    (answer,) = best([row("a", latency_p50_s=None)])
    assert answer.latency is None
    assert answer.throughput.score.trial == "a"


def test_pareto_front():
    rows = [row("slow", 50, 0.02), row("big", 300, 0.1), row("quick", 80, 0.005), row("mid", 200, 0.03)]
    assert [s.trial for s in pareto(rows)] == ["quick", "mid", "big"]
    by_p99 = pareto([changed(r, latency_p99_s=r.latency_p50_s) for r in rows], lambda s: s.latency_p99_s)
    assert [s.trial for s in by_p99] == ["quick", "mid", "big"]
    assert pareto(rows, lambda s: s.latency_p99_s) == ()
    with pytest.raises(ValueError, match="same question"):
        pareto([*rows, row("other", boundary="device")])


ROWS = st.lists(st.tuples(st.floats(1, 1e4), st.floats(1e-4, 1)), min_size=1, max_size=25)


@given(ROWS)
def test_the_front_is_what_no_other_beats(points):
    rows = [row(str(i), rate, p50) for i, (rate, p50) in enumerate(points)]
    front = pareto(rows)
    values = [(s.images_per_s.value, s.latency_p50_s.value) for s in front]
    for rate, p50 in points:
        beaten_or_there = any(r >= rate and p <= p50 for r, p in values)
        assert beaten_or_there
    for rate, p50 in values:
        assert not any((r > rate and p <= p50) or (r >= rate and p < p50) for r, p in points)


@given(ROWS, st.randoms())
def test_the_order_of_the_table_does_not_matter(points, random):
    rows = [row(str(i), rate, p50) for i, (rate, p50) in enumerate(points)]
    mixed = list(rows)
    random.shuffle(mixed)
    assert best(rows, 0.1) == best(mixed, 0.1)
    assert {s.images_per_s.value for s in pareto(rows)} == {s.images_per_s.value for s in pareto(mixed)}
