from itertools import groupby

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tensordyno.plan.order import into_groups
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import PreprocessingChange
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.vocabulary import Precision, Task


def trial(number, batch_size=1, **more):
    choice = EngineChoice(name=f"engine{number}")
    return Trial(
        id=f"t{number}-{batch_size}",
        model="net",
        engine=choice,
        precision=Precision.FP32,
        batch_size=batch_size,
        **more,
    )


def groups(trials, max_alive=8, **more):
    ordered = into_groups(trials, max_alive, **more)
    return {name: [t.id for t in members] for name, members in groupby(ordered, key=lambda t: t.group)}


def test_trials_that_are_compared_lie_side_by_side():
    mixed = [trial(0, 1), trial(0, 8), trial(1, 1), trial(1, 8)]
    assert groups(mixed) == {"net-b1-host": ["t0-1", "t1-1"], "net-b8-host": ["t0-8", "t1-8"]}


def test_data_weights_and_device_separate_groups():
    apart = [trial(0), trial(1, dataset="fashion"), trial(2, weights="w.pt"), trial(3, device="cuda:0")]
    assert len(groups(apart)) == 4


def test_precisions_engines_and_allocators_do_not():
    together = [
        trial(0),
        msgspec.structs.replace(trial(1), precision=Precision.BF16),
        trial(2, allocator="keep"),
    ]
    assert groups(together) == {"net-b1-host": ["t0-1", "t1-1", "t2-1"]}


def test_too_many_for_memory_are_split_evenly():
    assert groups([trial(n) for n in range(9)], max_alive=4) == {
        "net-b1-host-1": ["t0-1", "t1-1", "t2-1"],
        "net-b1-host-2": ["t3-1", "t4-1", "t5-1"],
        "net-b1-host-3": ["t6-1", "t7-1", "t8-1"],
    }


def test_without_interleaving_each_trial_is_alone():
    assert groups([trial(0), trial(1), trial(0, 8)], interleave=False) == {
        "net-b1-host-1": ["t0-1"],
        "net-b1-host-2": ["t1-1"],
        "net-b8-host": ["t0-8"],
    }


@given(st.lists(st.integers(1, 4), max_size=40), st.integers(1, 5))
def test_no_trial_is_lost_and_no_group_too_large(sizes, max_alive):
    trials = [trial(n, size) for n, size in enumerate(sizes)]
    ordered = into_groups(trials, max_alive)
    assert sorted(t.id for t in ordered) == sorted(t.id for t in trials)
    runs = [(name, len(list(members))) for name, members in groupby(ordered, key=lambda t: t.group)]
    assert len({name for name, _ in runs}) == len(runs)
    assert all(0 < count <= max_alive for _, count in runs)


def test_where_nothing_is_timed_each_trial_is_alone():
    asked = [replace(trial(n), task=Task.ACCURACY) for n in range(3)]
    assert groups(asked) == {f"net-b1-host-{n + 1}": [f"t{n}-1"] for n in range(3)}


def test_calibrations_are_compared_and_other_preprocessing_is_not():
    one, two, three = (
        replace(trial(n), precision=Precision.INT8, calibration=Calibration(seed=n)) for n in range(3)
    )
    other = replace(three, preprocessing=PreprocessingChange(resize=64))
    assert [len(members) for members in groups([one, two, other]).values()] == [2, 1]
