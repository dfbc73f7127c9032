"""What a sweep learns from its own outcomes."""

from fake_worker import READY, FakeWorker, trial
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tensordyno.records.memory import Shortage
from tensordyno.records.messages import FitOrder, FitReport
from tensordyno.records.outcome import Outcome
from tensordyno.run.contender import Materials
from tensordyno.run.largest import Edge, find_largest
from tensordyno.run.spawn import WorkerDied
from tensordyno.run.sweep import Sweep, family
from tensordyno.run.team import Team
from tensordyno.vocabulary import Boundary, Verdict

LACK = Shortage(asked_bytes=3 * 2**30, free_bytes=2**30, total_bytes=8 * 2**30)
MATERIALS = Materials("folder")


def ended(size, verdict=Verdict.VALID, **changes):
    lack = LACK if verdict is Verdict.OUT_OF_MEMORY else None
    return Outcome(trial=replace(trial(), batch_size=size, **changes), verdict=verdict, shortage=lack)


class Memory(FakeWorker):
    """Holds batches of so many images; dies of `deadly` ones."""

    def __init__(self, most, deadly=10**9):
        super().__init__(READY)
        self.most, self.deadly = most, deadly

    def await_report(self, timeout_s, remedy=""):
        order = self.orders[-1]
        if not isinstance(order, FitOrder):
            return READY
        size = order.trial.batch_size
        if size >= self.deadly:
            raise WorkerDied("Dead.", -9, "")
        if size > self.most:
            return FitReport(fits=False, shortage=LACK)
        return FitReport(fits=True, peak_bytes=size * 100)


def found(most, ran, out, deadly=10**9):
    teams = []

    def team_for(asked):
        teams.append(Team(asked, "folder", [Memory(most, deadly)]))
        return teams[-1]

    failed = ended(out, Verdict.OUT_OF_MEMORY)
    return find_largest(failed, Edge(ran, out), MATERIALS, team_for, 5), teams


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_the_edge_is_found_to_a_64th(most, gap):
    ran, out = most // 2, most + gap
    largest, _ = found(most, ran, out)
    assert ran <= largest.fits <= most < largest.fails <= out
    assert largest.fails - largest.fits <= max(1, largest.fits // 64)
    assert len(largest.tried) <= 14 and all(ran < size < out for size in largest.tried)
    assert largest.peak_bytes == (largest.fits * 100 if largest.fits > ran else None)


def test_what_is_known_needs_no_try():
    largest, teams = found(most=7, ran=7, out=8)
    assert (largest.fits, largest.fails, largest.tried, teams) == (7, 8, (), [])
    assert largest.shortage == LACK


def test_a_worker_that_dies_counts_as_out_of_memory_and_is_replaced():
    largest, teams = found(most=10, ran=8, out=40, deadly=12)
    assert (largest.fits, largest.fails) == (10, 11)
    assert len(teams) == 1 + sum(size >= 12 for size in largest.tried)


def test_larger_batches_of_a_build_that_ran_out_are_hopeless():
    sweep = Sweep()
    sweep.learn(ended(64))
    sweep.learn(ended(256, Verdict.OUT_OF_MEMORY))
    assert sweep.hopeless(replace(trial(), batch_size=512)) == (
        "A batch of 256 ran out of memory, which asked for 3.00 GiB more."
    )
    assert sweep.hopeless(replace(trial(), batch_size=128)) == ""
    assert sweep.hopeless(replace(trial(), batch_size=512, seed=9)) == ""
    assert sweep.hopeless(replace(trial(), batch_size=512, boundary=Boundary.DEVICE)) == ""


def test_each_family_that_ran_out_is_searched_once():
    sweep = Sweep([ended(64)])  # of an earlier session
    for outcome in (ended(512, Verdict.OUT_OF_MEMORY), ended(256, Verdict.OUT_OF_MEMORY)):
        sweep.learn(outcome)
    ((asked, search),) = sweep.searches(lambda trial: MATERIALS, 5)
    assert asked.batch_size == 256
    largest = search(lambda asked, folder: Team(asked, folder, [Memory(200)]))
    assert 197 <= largest.fits <= 200 < largest.fails <= 203 and min(largest.tried) > 64


def test_what_an_earlier_session_left_unanswered_is_searched_now():
    outcomes = [ended(64), ended(256, Verdict.OUT_OF_MEMORY), ended(256, Verdict.OUT_OF_MEMORY, devices=2)]
    asked = {trial.devices: search for trial, search in Sweep(outcomes).searches(lambda trial: MATERIALS, 5)}
    assert set(asked) == {1, 2}
    answer = asked[1](lambda trial, folder: Team(trial, folder, [Memory(200)]))
    ((left, _),) = Sweep(outcomes, [answer]).searches(lambda trial: MATERIALS, 5)
    assert left.devices == 2


def test_a_family_differs_in_batch_size_and_stopwatch_only():
    assert family(trial()) == family(replace(trial(max_seconds=9), id="x", batch_size=9))
    assert family(trial()) != family(replace(trial(), devices=2))
