import io

import pytest
from fake_worker import burst, trial

from tensordyno.cli.plain import PlainProgress, line_of
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan, Skip
from tensordyno.vocabulary import Verdict

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
