"""Two runs: faster, slower, same, unclear; never more certain than the intervals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.compare import Change, compare, judge, judge_answers
from tensordyno.analysis.scores import scores
from tensordyno.records.trial import Skip
from tensordyno.timing.intervals import Interval, unbounded
from tensordyno.vocabulary import Task, Verdict

from .builders import answers, bursts, calibrated, changed, counted, outcome, run, trial


def ran(name="t", rate=100.0, scatter=0.001, verdict=Verdict.VALID, seed=0, **fields):
    return outcome(
        trial(name, **fields), verdict=verdict, measured=bursts(rate, 8, scatter=scatter, seed=seed)
    )


def compared(root, old, new, margin=0.02, old_skips=(), new_skips=()):
    before, after = run(root / "old", old, old_skips), run(root / "new", new, new_skips)
    return compare(before, after, scores(before), scores(after), margin)


@pytest.mark.parametrize(
    ("low", "value", "high", "change"),
    [
        (1.05, 1.06, 1.07, Change.FASTER),
        (0.93, 0.94, 0.95, Change.SLOWER),
        (0.99, 1.0, 1.01, Change.SAME),
        (1.005, 1.01, 1.015, Change.SAME),  # certainly there, certainly too small to matter
        (0.97, 1.0, 1.03, Change.UNCLEAR),
        (1.001, 1.015, 1.03, Change.UNCLEAR),  # not beyond the margin
        (1.001, 1.03, 1.06, Change.FASTER),
        (0.9, 1.1, 1.3, Change.UNCLEAR),
    ],
)
def test_what_an_interval_says(low, value, high, change):
    assert judge(Interval(value=value, low=low, high=high)) is change


RATIOS = st.tuples(st.floats(0.5, 2), st.floats(1, 1.5))


@given(RATIOS, st.floats(0.001, 0.2))
def test_swapping_the_runs_mirrors_the_verdict(ratio, margin):
    value, spread = ratio
    there = judge(Interval(value=value, low=value / spread, high=value * spread), margin)
    back = judge(Interval(value=1 / value, low=1 / value / spread, high=1 / value * spread), margin)
    mirror = {Change.FASTER: Change.SLOWER, Change.SLOWER: Change.FASTER}
    edge = min(
        abs(x - e) for x in (value, value / spread, value * spread) for e in (1, 1 + margin, 1 / (1 + margin))
    )
    assert edge < 1e-9 or back is mirror.get(there, there)


@given(RATIOS, st.floats(1, 3))
def test_a_wider_interval_is_never_more_certain(ratio, wider):
    value, spread = ratio
    narrow = judge(Interval(value=value, low=value / spread, high=value * spread))
    wide = judge(Interval(value=value, low=value / spread / wider, high=value * spread * wider))
    assert wide in {narrow, Change.UNCLEAR} or (narrow is Change.SAME and wide is not Change.SAME)


def test_no_interval_is_unclear():
    assert judge(None) is Change.UNCLEAR
    assert judge(unbounded(5.0)) is Change.UNCLEAR


@pytest.mark.parametrize(
    ("rate", "scatter", "change"),
    [
        (120, 0.01, Change.FASTER),
        (80, 0.01, Change.SLOWER),
        (100, 0.002, Change.SAME),
        (101, 0.1, Change.UNCLEAR),
    ],
)
def test_two_runs(tmp_path, rate, scatter, change):
    (match,) = compared(tmp_path, [ran()], [ran(rate=rate, scatter=scatter, seed=1)]).matches
    assert match.change is change
    assert match.ratio.low < rate / 100 < match.ratio.high or match.ratio.value == pytest.approx(
        rate / 100, rel=0.02
    )


def test_two_runs_of_one_thing_are_rarely_told_apart(tmp_path):
    """Fifty trials of equal speed with 1 % scatter, measured twice."""
    old = [ran(f"t{i}", 100, 0.01, seed=i, batch_size=i + 1) for i in range(50)]
    new = [ran(f"t{i}", 100, 0.01, seed=100 + i, batch_size=i + 1) for i in range(50)]
    changes = [m.change for m in compared(tmp_path, old, new).matches]
    assert len(changes) == 50
    assert set(changes) <= {Change.SAME, Change.UNCLEAR}
    assert changes.count(Change.SAME) > 35


def test_the_clocks_of_two_runs_are_never_paired(tmp_path):
    """Even where the stamps happen to alternate, a common drift must not cancel."""
    drift = [100, 110, 120, 130, 140, 150]
    old = [bursts(r, 1, start_s=2 * i)[0] for i, r in enumerate(drift)]
    new = [bursts(1.1 * r, 1, start_s=2 * i + 1)[0] for i, r in enumerate(drift)]
    (match,) = compared(tmp_path, [outcome(measured=old)], [outcome(measured=new)]).matches
    assert match.change is Change.UNCLEAR


def test_matching_is_by_configuration_and_not_by_name(tmp_path):
    found = compared(
        tmp_path,
        [ran("x", 100), ran("y", 50, batch_size=32), ran("gone", 10, precision="bf16")],
        [ran("1", 50, batch_size=32), ran("2", 100), ran("fresh", 10, engine="openvino")],
    )
    assert [(m.old.trial, m.new.trial) for m in found.matches] == [("x", "2"), ("y", "1")]
    assert {m.change for m in found.matches} == {Change.SAME}
    assert [s.trial for s in found.only_old] == ["gone"]
    assert [s.trial for s in found.only_new] == ["fresh"]
    assert "between runs" in found.note.lower()


def test_a_changed_allocator_is_compared_and_named(tmp_path):
    kept = ran(rate=150, allocator="keep")
    kept = changed(kept, process=changed(kept.process, allocator="keep"))
    found = compared(tmp_path, [ran(rate=100)], [kept])
    assert [m.change for m in found.matches] == [Change.FASTER]
    assert [(d.what, d.old, d.new) for d in found.environment] == [
        ("onnxruntime: allocator", "default", "keep")
    ]


def test_two_allocators_in_each_run_match_their_own(tmp_path):
    old = [ran("d", 100), ran("k", 150, allocator="keep")]
    found = compared(tmp_path, old, old[::-1])
    assert [(m.old.trial, m.new.trial) for m in found.matches] == [("d", "d"), ("k", "k")]


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (Verdict.VALID, Verdict.CRASHED, Change.BROKEN),
        (Verdict.VALID, Verdict.UNSTABLE, Change.BROKEN),
        (Verdict.INVALID, Verdict.VALID, Change.FIXED),
        (Verdict.CRASHED, Verdict.INVALID, Change.UNCLEAR),
    ],
)
def test_only_valid_trials_have_a_ratio(tmp_path, old, new, change):
    (match,) = compared(tmp_path, [ran(verdict=old)], [ran(verdict=new, rate=900)]).matches
    assert (match.change, match.ratio) == (change, None)


def test_what_neither_run_could_do_is_left_out(tmp_path):
    skip = Skip(trial=trial("s", precision="fp8"), reason="No.")
    found = compared(tmp_path, [ran()], [ran()], old_skips=[skip], new_skips=[skip])
    assert [m.old.trial for m in found.matches] == ["t"]
    done = compared(tmp_path, [ran()], [ran(), ran("s", precision="fp8")], old_skips=[skip])
    assert [m.change for m in done.matches] == [Change.SAME, Change.FIXED]


@pytest.mark.parametrize(
    ("low", "value", "high", "change"),
    [
        (-0.03, -0.02, -0.01, Change.WORSE),
        (0.01, 0.02, 0.03, Change.BETTER),
        (-0.01, -0.004, 0.002, Change.SAME),
        (-0.009, -0.006, -0.003, Change.SAME),  # certainly there, certainly too small to matter
        (-0.05, -0.02, 0.01, Change.UNCLEAR),
        (-0.015, -0.008, -0.001, Change.UNCLEAR),
    ],
)
def test_what_a_difference_of_right_answers_says(low, value, high, change):
    assert judge_answers(Interval(value=value, low=low, high=high)) is change


def test_a_difference_that_is_not_known_says_nothing():
    assert judge_answers(None) is Change.UNCLEAR


def recounted(root, old_wrong, new_wrong, task=Task.ACCURACY):
    """The one match of two runs that answered to the same images, with so many mistakes."""
    facts = {} if task is Task.INFERENCE else {"measured": ()}
    runs = []
    for name, wrong in (("old", old_wrong), ("new", new_wrong)):
        table = answers(2000, range(wrong))
        runs.append(run(root / name, [counted("t", table, facts=facts, task=task)], answers={"t": table}))
    (match,) = compare(*runs, *map(scores, runs)).matches
    return match


@pytest.mark.parametrize(
    ("old", "new", "change"), [(100, 160, Change.WORSE), (160, 100, Change.BETTER), (100, 104, Change.SAME)]
)
def test_right_answers_of_two_runs_are_paired(tmp_path, old, new, change):
    match = recounted(tmp_path, old, new)
    assert (match.change, match.ratio) == (change, None)
    assert match.difference.value == pytest.approx((old - new) / 2000)


def test_a_trial_that_is_timed_is_judged_on_speed_and_shows_its_answers(tmp_path):
    match = recounted(tmp_path, 100, 160, Task.INFERENCE)
    assert match.change is Change.SAME and match.difference.value == pytest.approx(-0.03)


def test_answers_to_other_images_are_not_compared(tmp_path):
    one = outcome(trial(task=Task.ACCURACY), measured=())
    other = changed(one, accuracy=changed(one.accuracy, data_hash="other"))
    (match,) = compared(tmp_path, [one], [other]).matches
    assert (match.change, match.difference) == (Change.UNCLEAR, None)


def test_calibrations_match_their_own_and_else_the_nearest(tmp_path):
    def int8(name, rate, **fields):
        return changed(ran(name, rate, precision="int8"), calibration=calibrated(**fields))

    old = [int8("e", 100), int8("m", 200, method="minmax")]
    found = compared(tmp_path, old, [int8("m2", 200, method="minmax"), int8("e2", 100)])
    assert [(m.old.trial, m.new.trial) for m in found.matches] == [("e", "e2"), ("m", "m2")]
    renewed = compared(tmp_path / "renewed", old[:1], [int8("p", 100, method="percentile:99.9")])
    assert [(m.old.trial, m.new.trial) for m in renewed.matches] == [("e", "p")]
    assert [d.what for d in renewed.environment] == ["resnet50: calibration method"]
