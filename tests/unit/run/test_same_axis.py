"""Where a resumed run goes on: whether the machine and its clock are the ones it began with."""

from datetime import UTC, datetime, timedelta

import pytest
from made_run import make_run
from msgspec.structs import replace

from tensordyno.errors import UsageError
from tensordyno.run.same_axis import check_machine, seconds_behind
from tensordyno.store.reader import read_run


@pytest.fixture
def run(tmp_path):
    make_run(tmp_path / "run")
    return read_run(tmp_path / "run")


def after(run, passed_s):
    """The wall clock so many seconds after the run began."""
    return datetime.fromisoformat(run.header.started).astimezone(UTC) + timedelta(seconds=passed_s)


def test_the_same_clock_is_left_alone(run):
    assert seconds_behind(run, after(run, 9000), run.header.clock_start_s + 9000.4) == 0


def test_a_clock_that_began_anew_is_put_on_the_axis_of_the_run(run):
    behind_s = seconds_behind(run, after(run, 900), 7.0)
    assert behind_s + 7.0 == pytest.approx(run.header.clock_start_s + 900)


def test_a_machine_that_runs_for_longer_is_put_back(run):
    behind_s = seconds_behind(run, after(run, 900), 1e7)
    assert behind_s < 0 and behind_s + 1e7 == pytest.approx(run.header.clock_start_s + 900)


def test_nothing_comes_before_what_was_measured_whatever_the_wall_clock_says(run):
    latest_s = max(phase.stop_s for o in run.outcomes for phase in o.phases)
    assert seconds_behind(run, after(run, -30 * 86400), 7.0) + 7.0 > latest_s


def test_other_hardware_is_refused_in_one_line(run):
    check_machine(run, run.header.machine)
    with pytest.raises(UsageError, match=r"began on .*; this machine is .* with NVIDIA T4") as refused:
        check_machine(run, replace(run.header.machine, gpus=("NVIDIA T4",)))
    assert refused.value.slug == "other-machine" and "spec.yaml" in refused.value.remedy
