"""The live display, drawn on a terminal that is a file."""

import io

import pytest
from fake_worker import burst, trial
from rich.console import Console

from tensordyno.cli.display import LiveProgress, make_progress, verdict_style
from tensordyno.cli.plain import PlainProgress
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan
from tensordyno.vocabulary import Verdict


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), force_terminal=True, width=120, highlight=False, record=True)


def drawn(progress):
    """What the display shows at this moment, without colours."""
    console = Console(file=io.StringIO(), width=120)
    console.print(progress._render())
    return console.file.getvalue()


def test_racing_trials_are_rows_and_the_bar_counts(screen):
    progress = LiveProgress(screen)
    progress.planned(Plan(trials=(trial("a"), trial("b"), trial("c"))), 1)
    progress.phase(trial("a"), "building")
    progress.phase(trial("a"), "measuring")
    progress.burst(trial("a"), 1234.5, 0.013, 0.4)
    progress.phase(trial("b"), "measuring")
    progress.burst(trial("b"), 10.0, None, 1.7)
    shown = drawn(progress)
    a = next(line for line in shown.splitlines() if line.startswith("a "))
    b = next(line for line in shown.splitlines() if line.startswith("b "))
    assert a.split("  ")[0] == "a" and "waiting" in a
    assert "1,234 img/s" in a or "1,235 img/s" in a
    assert "±1.3 %" in a and "40 % of its time" in a
    assert "measuring" in b and "±" not in b and "100 % of its time" in b
    assert "1/3" in shown


def test_a_long_phase_shows_how_far_it_has_come(screen):
    progress = LiveProgress(screen)
    progress.phase(trial("a"), "calibrating")
    progress.step(trial("a"), "calibrating", 375, 1250)
    assert "calibrating 375/1250" in drawn(progress)
    progress.step(trial("a"), "counting", 64, 2**31 - 1)
    assert "counting 64 " in drawn(progress)
    progress.phase(trial("a"), "building")
    assert "calibrating" not in drawn(progress)


def test_contention_and_remarks_are_shown_until_something_happens(screen):
    progress = LiveProgress(screen)
    progress.note("Measuring what the telemetry costs")
    progress.contended(trial("a"))
    assert "Measuring what the telemetry costs" in drawn(progress)
    assert "cores busy elsewhere" in drawn(progress)
    progress.phase(trial("a"), "measuring")
    assert "telemetry costs" not in drawn(progress) and "busy" not in drawn(progress)


def test_a_finished_trial_moves_above_the_table(screen):
    progress = LiveProgress(screen)
    with progress.live:
        progress.planned(Plan(trials=(trial("a"),)), 0)
        progress.phase(trial("a"), "measuring")
        reason = "It said: [/usr/lib/libx.so]"  # no markup of ours
        ended = Outcome(trial=trial("a"), verdict=Verdict.CRASHED, reason=reason, bursts=(burst().burst,))
        progress.ended(ended)
        assert "a " not in drawn(progress) and "1/1" in drawn(progress)
    assert f"a  CRASHED  10.0 images/s  {reason}" in screen.export_text()


def test_a_style_for_every_verdict():
    assert verdict_style(Verdict.VALID) == "green" and verdict_style(Verdict.SKIPPED) == "dim"
    assert {verdict_style(v) for v in Verdict if v.is_failure} == {"red"}


@pytest.mark.parametrize(("quiet", "stream"), [(False, "out"), (True, "err")])
def test_without_a_terminal_plain_lines_go_where_json_does_not(capsys, quiet, stream):
    with make_progress(quiet=quiet) as progress:
        assert isinstance(progress, PlainProgress)
        progress.note("A remark.")
    assert getattr(capsys.readouterr(), stream) == "A remark.\n"


def test_on_a_terminal_the_display_lives(monkeypatch):
    monkeypatch.setattr(
        "tensordyno.cli.display.Console", lambda **_: Console(file=io.StringIO(), force_terminal=True)
    )
    with make_progress(quiet=False) as progress:
        assert isinstance(progress, LiveProgress) and progress.live.is_started
    assert not progress.live.is_started
