"""The live display on a terminal: finished trials as lines, the racing ones as a small table."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from tensordyno.cli.plain import PlainProgress, line_of
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan, Trial
from tensordyno.run.progress import Progress
from tensordyno.units import significant
from tensordyno.vocabulary import Verdict

_ENDLESS = 10**9  # more images than there are: all of a folder were asked for
VERDICT_STYLE = {
    Verdict.VALID: "green",
    Verdict.UNSTABLE: "yellow",
    Verdict.SKIPPED: "dim",
    Verdict.UNSUPPORTED: "dim",
    Verdict.INTERRUPTED: "yellow",
}


def verdict_style(verdict: Verdict) -> str:
    """Colour of a verdict; whatever failed is red."""
    return VERDICT_STYLE.get(verdict, "red")


@contextmanager
def make_progress(*, quiet: bool) -> Iterator[Progress]:
    """A live display on a terminal, plain lines elsewhere; on stderr when stdout is for JSON."""
    console = Console(stderr=quiet, highlight=False)
    if not console.is_terminal:
        yield PlainProgress(sys.stderr if quiet else sys.stdout)
        return
    progress = LiveProgress(console)
    with progress.live:
        yield progress


class LiveProgress(Progress):
    """Shows what is being measured now, how sure it is already, and how much is left."""

    def __init__(self, console: Console) -> None:
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("trials"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("Measuring", total=None)
        self._racing: dict[str, dict[str, str]] = {}
        self._note = ""
        self.live = Live(console=console, get_renderable=self._render, refresh_per_second=4)

    def planned(self, plan: Plan, already_done: int) -> None:
        """Set the bar's length."""
        self._bar.update(self._task, total=len(plan.trials), completed=already_done)

    def phase(self, trial: Trial, doing: str) -> None:
        """Mark what a trial is doing."""
        self._note = ""
        for row in self._racing.values():
            if row["doing"] == "measuring":
                row["doing"] = "waiting"
        self._row(trial)["doing"] = doing

    def step(self, trial: Trial, doing: str, done: int, total: int) -> None:
        """Show how far a long phase has come."""
        self._row(trial)["doing"] = f"{doing} {done}/{total}" if total < _ENDLESS else f"{doing} {done}"

    def burst(self, trial: Trial, images_per_s: float, half_width: float | None, spent: float) -> None:
        """Show the latest rate and how wide its interval still is."""
        row = self._row(trial)
        row["rate"] = f"{significant(images_per_s)} img/s"
        row["sure"] = f"±{100 * half_width:.1f} %" if half_width is not None else ""
        row["spent"] = f"{100 * min(spent, 1):.0f} % of its time"

    def contended(self, trial: Trial) -> None:
        """Say that others have the cores."""
        self._row(trial)["doing"] = "cores busy elsewhere, repeating"

    def ended(self, outcome: Outcome) -> None:
        """Move a finished trial from the table to the lines above it."""
        self._racing.pop(outcome.trial.id, None)
        self._bar.advance(self._task)
        self.live.console.print(Text(line_of(outcome), style=verdict_style(outcome.verdict)))

    def note(self, text: str) -> None:
        """Show a remark until the next phase begins."""
        self._note = text

    def _row(self, trial: Trial) -> dict[str, str]:
        return self._racing.setdefault(trial.id, {"doing": "", "rate": "", "sure": "", "spent": ""})

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for name, row in self._racing.items():
            style = "dim" if "waiting" in row["doing"] else "bold"
            table.add_row(name, row["doing"], row["rate"], row["sure"], row["spent"], style=style)
        note = Text(self._note, style="italic", end="\n" if self._note else "")
        return Group(note, table, self._bar)
