import pytest
from fake_worker import FakeWorker, burst, contender, trial

from tensordyno.records.trial import Measurement
from tensordyno.run import group as group_module
from tensordyno.run.contention import SpinReference
from tensordyno.run.group import Group, why_unstable
from tensordyno.run.progress import Progress
from tensordyno.run.spawn import WorkerDied
from tensordyno.vocabulary import Verdict


class Watcher(Progress):
    """Notes what it is told."""

    def __init__(self):
        self.said = []

    def phase(self, trial, doing):
        self.said.append((trial.id, doing))

    def burst(self, trial, images_per_s, half_width, spent):
        self.said.append((trial.id, round(images_per_s, 6), half_width, round(spent, 6)))

    def contended(self, trial):
        self.said.append((trial.id, "contended"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    waits = []
    monkeypatch.setattr(group_module, "sleep", waits.append)
    return waits


def racer(name, *answers, **measurement):
    return contender(trial(name, **measurement), FakeWorker(*answers), 10, 10)


def turns(seed, **counts):
    """Whose burst came when, of contenders that need so many bursts each."""
    watcher = Watcher()
    racing = [racer(n, *[burst()] * (c - 1), burst(done=True)) for n, c in counts.items()]
    ended = [c.trial.id for c, _ in Group(racing, SpinReference(), watcher).rounds(seed)]
    return [who for who, *what in watcher.said if what == ["measuring"]], ended


def test_each_round_measures_everyone_once_in_an_order_of_its_own():
    order, ended = turns(3, a=8, b=8, c=8)
    rounds = [order[i : i + 3] for i in range(0, 24, 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1
    assert sorted(ended) == ["a", "b", "c"]


def test_the_order_follows_from_the_seed():
    assert turns(5, a=6, b=6) == turns(5, a=6, b=6)
    assert len({tuple(turns(seed, a=6, b=6)[0]) for seed in range(20)}) > 1


def test_who_is_done_leaves_and_the_others_go_on():
    order, ended = turns(1, a=2, b=5)
    assert ended == ["a", "b"]
    assert order.count("a") == 2 and order.count("b") == 5


def test_a_death_ends_one_trial_only():
    racing = [
        racer("a", burst(), WorkerDied("Dead.", -9, "")),
        racer("b", burst(), burst(), burst(done=True)),
    ]
    ended = {c.trial.id: o for c, o in Group(racing, SpinReference(), Watcher()).rounds(0)}
    assert ended["a"].verdict is Verdict.CRASHED and len(ended["a"].bursts) == 1
    assert ended["b"].verdict is Verdict.VALID and len(ended["b"].bursts) == 3


def test_time_runs_out():
    racing = [racer("a", *[burst(half_width=0.25)] * 5, max_seconds=2)]
    ((_, outcome),) = Group(racing, SpinReference(), Watcher()).rounds(0)
    assert outcome.verdict is Verdict.UNSTABLE and len(outcome.bursts) == 5
    assert outcome.reason == "The 95 % interval is ±25.0 % after 2 s (asked: ±1 %)."


def test_lost_bursts_are_repeated_after_a_wait_that_costs_time(no_waiting):
    watcher = Watcher()
    lost = burst(duration_s=0.0, contended=True)
    racing = [racer("a", lost, burst(contended=True), burst(half_width=0.004), burst(done=True))]
    ((contender, outcome),) = Group(racing, SpinReference(), watcher).rounds(0)
    assert outcome.verdict is Verdict.VALID
    assert contender.lost_bursts == 2 and len(no_waiting) == 2
    assert contender.spent_s == pytest.approx(3 * 0.4 + 2 * no_waiting[0])
    assert [said[1:] for said in watcher.said if said[1] == "contended"] == [("contended",)] * 2
    assert ("a", 10.0, 0.004, round((0.8 + 2 * no_waiting[0]) / 30, 6)) in watcher.said


def test_each_burst_is_judged_against_the_best_rate_of_the_whole_run():
    contender = racer("a", burst(rate=80.0), burst(rate=120.0), burst(done=True))
    list(Group([contender], SpinReference(), Watcher()).rounds(0))
    assert [order.spin_rate for order in contender.worker.orders[1:]] == [None, 80.0, 120.0]


@pytest.mark.parametrize(
    ("reports", "slug", "words"),
    [
        ([burst(duration_s=0.0, contended=True)] * 3, "contended", "3 of 3 bursts were lost"),
        ([burst(duration_s=9.0)], "too-slow", "only 1 burst fitted in; raise measure.max_seconds"),
        ([burst(half_width=0.001)] * 3, "too-slow", "only 3 bursts fitted in; raise measure.max_seconds"),
        ([burst(half_width=0.1)] * 3 + [burst(contended=True)], "interval-too-wide", "±10.0 %"),
        ([burst(half_width=0.1)] + [burst(contended=True, half_width=0.1)] * 2, "contended", "2 of 3 bursts"),
    ],
)
def test_why_a_trial_is_unstable(reports, slug, words):
    contender = racer("a", *reports)
    for _ in reports:
        contender.measure(None)
    if slug == "interval-too-wide":
        contender.half_width = 0.1
    reason, found = why_unstable(contender, Measurement())
    assert found == slug and words in reason
