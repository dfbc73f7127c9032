import io

import pytest
from fake_worker import burst, trial
from msgspec.structs import replace

from tensordyno.cli.plain import PlainProgress, line_of
from tensordyno.records.build import Accuracy
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan, Skip
from tensordyno.vocabulary import Task, Verdict

BURSTS = (burst().burst, burst(contended=True, duration_s=9).burst, burst().burst)


def outcome(verdict=Verdict.VALID, reason="", bursts=BURSTS):
    return Outcome(trial=trial(), verdict=verdict, reason=reason, bursts=bursts)


@pytest.mark.parametrize(
    ("ended", "line"),
    [
        (outcome(), "t  VALID  10.0 images/s"),
        (outcome(Verdict.UNSTABLE, "Too wide."), "t  UNSTABLE  10.0 images/s  Too wide."),
        (outcome(Verdict.OUT_OF_MEMORY, "Full.", ()), "t  OUT_OF_MEMORY  Full."),
        (outcome(Verdict.CRASHED, "Dead.", BURSTS[1:2]), "t  CRASHED  Dead."),
    ],
)
def test_a_trial_in_one_line(ended, line):
    assert line_of(ended) == line


def test_one_line_a_trial_counted_on_from_an_earlier_session():
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.planned(Plan(trials=(trial("a"), trial("b")), skips=(Skip(trial=trial(), reason="r"),)), 1)
    progress.phase(trial(), "building")
    progress.burst(trial(), 10.0, None, 0.5)
    progress.contended(trial())
    progress.note("A remark.")
    progress.ended(outcome())
    assert stream.getvalue().splitlines() == [
        "2 trials, 1 done before, 1 skipped",
        "A remark.",
        "[2/2] t  VALID  10.0 images/s",
    ]


def test_nobody_reads_on():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    PlainProgress(Closed()).ended(outcome())


def test_right_answers_stand_where_nothing_was_timed():
    counted = Accuracy(images=2000, top1_correct=1817, top5_correct=1996)
    ended = replace(outcome(bursts=()), accuracy=counted)
    assert line_of(ended) == "t  VALID"  # it was to be timed
    ended = replace(ended, trial=replace(trial(), task=Task.ACCURACY))
    assert line_of(ended) == "t  VALID  top-1 90.85% of 2000 images"


def test_a_line_after_each_quarter_of_a_long_phase():
    stream = io.StringIO()
    progress = PlainProgress(stream)
    for done in range(0, 1251, 25):
        progress.step(trial(), "calibrating", done, 1250)
    progress.step(trial(), "counting", 2000, 2000)  # so short that a line would be noise
    progress.step(trial(), "nothing", 0, 0)
    progress.step(trial(), "counting all there are", 32, 2**31 - 1)
    assert stream.getvalue().splitlines() == [
        "t  calibrating 325/1250",
        "t  calibrating 625/1250",
        "t  calibrating 950/1250",
    ]
