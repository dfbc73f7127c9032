"""Runs on different devices: matched over everything but the device, compared with the first."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.compare import matched
from tensordyno.analysis.compare_devices import _geometric, compare_devices, differ
from tensordyno.analysis.scores import scores
from tensordyno.records.trial import Skip
from tensordyno.vocabulary import Boundary, Verdict

from .builders import bursts, changed, header, outcome, run, trial

NAMES = {"T4": 100.0, "H200": 1000.0, "A100": 420.0}


def ran(name, device_name, rate, device="cuda:0", **fields):
    verdict = fields.pop("verdict", Verdict.VALID)
    found = outcome(trial(name, device=device, **fields), measured=bursts(rate, 8), verdict=verdict)
    return changed(found, receipt=changed(found.receipt, device=device_name))


def stored(root, device_name, outcomes, **fields):
    return run(root / device_name, outcomes, head=header(run=f"run of {device_name}"), **fields)


def compared(runs):
    return compare_devices(runs, [scores(r) for r in runs])


@pytest.fixture
def three(tmp_path):
    return [
        stored(
            tmp_path,
            name,
            [
                ran("a", name, speed),
                ran("b", name, 2 * speed, precision="fp16"),
                ran("c", name, 3 * speed, precision="fp16", model="vgg16"),
            ],
        )
        for name, speed in NAMES.items()
    ]


def test_each_side_is_compared_with_the_first(three):
    found = compared(three)
    assert [s.label for s in found.sides] == ["T4", "H200", "A100"]
    assert len(found.contests) == 3
    for contest in found.contests:
        first, second, third = contest.standings
        assert first.ratio is None and first.latency_ratio is None
        assert second.ratio.value == pytest.approx(10.0) and third.ratio.value == pytest.approx(4.2)
        assert second.ratio.low <= second.ratio.value <= second.ratio.high
        assert second.latency_ratio == pytest.approx(0.1)


def test_geometric_means_by_precision_count_each_network_once(three):
    means = {(m.side, m.precision): m for m in compared(three).means}
    assert set(means) == {(1, "fp32"), (1, "fp16"), (2, "fp32"), (2, "fp16")}
    assert means[1, "fp16"].value == pytest.approx(10.0)
    assert (means[1, "fp16"].networks, means[1, "fp16"].configurations) == (2, 2)
    assert (means[1, "fp32"].networks, means[1, "fp32"].configurations) == (1, 1)


def test_a_network_with_many_batch_sizes_does_not_weigh_more(tmp_path):
    slow = [ran(f"r{b}", "T4", 100, batch_size=b) for b in (1, 2, 4)] + [ran("v", "T4", 100, model="vgg16")]
    fast = [ran(f"r{b}", "H200", 400, batch_size=b) for b in (1, 2, 4)] + [
        ran("v", "H200", 900, model="vgg16")
    ]
    (mean,) = compared([stored(tmp_path, "T4", slow), stored(tmp_path, "H200", fast)]).means
    assert mean.value == pytest.approx(6.0)  # the root of 4 x 9
    assert (mean.low, mean.high, mean.configurations) == (pytest.approx(4.0), pytest.approx(9.0), 4)


def test_changing_the_baseline_inverts_the_means(three):
    there, back = compared(three[:2]), compared(three[1::-1])
    for a, b in zip(there.means, back.means, strict=True):
        assert a.value * b.value == pytest.approx(1.0)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9))
def test_a_geometric_mean_lies_between_the_ends_and_inverts(values):
    mean = _geometric(values)
    assert min(values) * (1 - 1e-9) <= mean <= max(values) * (1 + 1e-9)
    assert math.isclose(_geometric([1 / v for v in values]), 1 / mean, rel_tol=1e-9)


def test_a_cpu_and_a_gpu_are_matched(tmp_path):
    cpu = stored(tmp_path, "EPYC", [ran("a", "EPYC", 10, device="cpu", threads=2)])
    gpu = stored(tmp_path, "H200", [ran("x", "H200", 900)])
    assert differ(scores(cpu), scores(gpu))
    (contest,) = compared([cpu, gpu]).contests
    assert contest.standings[1].ratio.value == pytest.approx(90.0)


def test_its_own_device_is_matched_first(tmp_path):
    both = [ran("c", "EPYC", 10, device="cpu"), ran("g", "H200", 900)]
    old, new = stored(tmp_path, "old", both), stored(tmp_path, "new", both[::-1])
    pairs, left, right = matched(scores(old), scores(new), anywhere=True)
    assert [(a.trial, b.trial) for a, b in pairs] == [("c", "c"), ("g", "g")]
    assert left == right == []
    assert not differ(scores(old), scores(new))


def test_unknown_names_are_not_different(tmp_path):
    old, new = (stored(tmp_path, name, [ran("a", told, 100)]) for name, told in (("o", ""), ("n", "H200")))
    assert not differ(scores(old), scores(new))


def test_the_number_of_devices_and_the_boundary_must_be_alike(tmp_path):
    one = stored(tmp_path, "T4", [ran("a", "T4", 100), ran("b", "T4", 100, boundary=Boundary.DEVICE)])
    two = stored(tmp_path, "H200", [ran("a", "H200", 100, devices=2)])
    found = compared([one, two])
    assert found.contests == () and found.means == ()
    assert found.alone == (("a", "b"), ("a",))


def test_only_valid_trials_have_a_ratio(tmp_path):
    one = stored(tmp_path, "T4", [ran("a", "T4", 100, verdict=Verdict.UNSTABLE)])
    two = stored(tmp_path, "H200", [ran("a", "H200", 100)])
    (contest,) = compared([one, two]).contests
    assert contest.standings[1].ratio is None and contest.standings[0].score.verdict is Verdict.UNSTABLE


def test_what_nobody_could_do_is_left_out(tmp_path):
    skip = Skip(trial=trial("s", precision="fp8", device="cuda:0"), reason="No.")
    one = stored(tmp_path, "T4", [ran("a", "T4", 100)], skips=[skip])
    two = stored(tmp_path, "H200", [ran("a", "H200", 100)], skips=[skip])
    found = compared([one, two])
    assert [c.precision for c in found.contests] == ["fp32"]
    assert found.alone == ((), ())


def test_frugality_is_images_per_joule_over_images_per_joule(three):
    rows = [scores(r) for r in three[:2]]
    rows = [
        [changed(s, images_per_joule=joule) for s in mine] for mine, joule in zip(rows, (2, 5), strict=True)
    ]
    found = compare_devices(three[:2], rows)
    assert {c.standings[1].frugality_ratio for c in found.contests} == {2.5}


@pytest.mark.parametrize(
    ("runs", "labels"),
    [
        (("morning", "evening"), ["H200, morning", "H200, evening"]),
        (("same", "same"), ["H200, one", "H200, two"]),
    ],
)
def test_sides_of_one_name_are_told_apart(tmp_path, runs, labels):
    found = [
        run(tmp_path / folder, [ran("a", "H200", 100)], head=header(run=name))
        for folder, name in zip(("one", "two"), runs, strict=True)
    ]
    assert [s.label for s in compared(found).sides] == labels


def test_a_run_against_itself_still_has_two_names(tmp_path):
    one = stored(tmp_path, "H200", [ran("a", "H200", 100)])
    assert [s.label for s in compared([one, one]).sides] == ["H200, run 1", "H200, run 2"]


def test_a_run_without_receipts_is_named_after_its_machine(tmp_path):
    bare = outcome(trial("a"), measured=(), receipt=None, verdict=Verdict.CRASHED)
    found = compared([stored(tmp_path, "x", [bare]), stored(tmp_path, "H200", [ran("a", "H200", 100)])])
    assert found.sides[0].devices == ("EPYC",)


def test_what_moves_throughput_most_comes_first(tmp_path):
    heads = [
        header(machine={"cpu": cpu, "kernel": kernel, "gpus": (gpu,), "packages": {"torch": version}})
        for cpu, kernel, gpu, version in (("Xeon", "5", "T4", "2.9"), ("EPYC", "6", "H200", "2.11"))
    ]
    runs = [run(tmp_path / str(i), [ran("a", "x", 100)], head=h) for i, h in enumerate(heads)]
    found = compared(runs).environment
    assert [(c.what, c.values, c.weighty) for c in found] == [
        ("gpus", ("T4", "H200"), True),
        ("cpu", ("Xeon", "EPYC"), True),
        ("package torch", ("2.9", "2.11"), True),
        ("kernel", ("5", "6"), False),
    ]


def test_runs_that_share_nothing_are_compared_by_device_where_these_differ(tmp_path):
    gpu = scores(stored(tmp_path, "H200", [ran("a", "H200", 10)]))
    cpu = scores(stored(tmp_path, "EPYC", [ran("b", "EPYC", 10, device="cpu", batch_size=2)]))
    same = scores(stored(tmp_path, "again", [ran("c", "H200", 10, batch_size=2)]))
    assert differ(gpu, cpu) and not differ(gpu, same)
