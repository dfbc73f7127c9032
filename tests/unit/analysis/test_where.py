"""What trials ran on, by name and number."""

import pytest
from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.analysis.where import device_name, devices_used, ran_on, tallied
from tensordyno.vocabulary import Verdict

from .builders import changed, header, outcome, run, trial


@pytest.fixture
def one(tmp_path):
    return replace(scores(run(tmp_path, [outcome(trial())]))[0], device="cpu", device_name="")


@pytest.fixture
def machine():
    return replace(header().machine, cpu="Xeon", gpus=("NVIDIA H200", "NVIDIA T4"))


def test_gpus_are_counted_by_kind_and_the_cpu_only_where_it_ran(one, machine):
    gpu = replace(one, device="cuda:0", device_name="NVIDIA H200")
    assert ran_on(machine, [gpu, replace(gpu, devices=2)]) == ("2 × NVIDIA H200",)
    assert ran_on(machine, [gpu, replace(gpu, device="cuda:1")]) == ("2 × NVIDIA H200",)
    assert ran_on(machine, [gpu, one]) == ("NVIDIA H200", "Xeon")
    assert ran_on(machine, [replace(one, devices=4)]) == ("Xeon",)  # its cores, shared
    assert ran_on(machine, [replace(one, devices=4, nodes=2)]) == ("2 × Xeon",)


def test_a_trial_that_never_asked_its_device_has_the_machine_s_name_for_it(one, machine):
    names = {d: device_name(machine, replace(one, device=d)) for d in ("cuda:1", "cuda:7", "cuda", "other")}
    assert names == {"cuda:1": "NVIDIA T4", "cuda:7": "cuda:7", "cuda": "NVIDIA H200", "other": "other"}


def test_what_was_planned_away_ran_nowhere_unless_it_is_all_there_is(one, machine):
    skipped = replace(one, device="cuda:0", verdict=Verdict.SKIPPED)
    assert ran_on(machine, [one, skipped]) == ("Xeon",)
    assert ran_on(machine, [skipped]) == ("NVIDIA H200",)
    assert ran_on(machine, []) == ("Xeon",)


def test_names_are_tallied():
    assert tallied(["a", "b", "a"]) == ("2 × a", "b")
    assert tallied([]) == ()


def test_stored_runs_are_listed_with_their_devices():
    one = outcome(trial(device="cuda:0", devices=2))
    gpu = changed(one, receipt=changed(one.receipt, device="NVIDIA H200"))
    unknown = changed(one, receipt=None)
    cpu = outcome(trial(devices=4))
    assert devices_used([gpu, unknown, cpu]) == ("2 × NVIDIA H200", "EPYC")
    assert devices_used([unknown]) == ()
