"""Tables a terminal shows: results, plans, stored runs, members of the catalogues."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tensordyno.analysis.accuracy import accuracy_rows, is_unproved
from tensordyno.analysis.accuracy_checks import SHOWN_AT_ONCE
from tensordyno.analysis.batch_limits import BatchLimit, batch_limits
from tensordyno.analysis.best import Answer, Choice, best
from tensordyno.analysis.comparison_checks import faster_but_unstable
from tensordyno.analysis.scores import Interval, Score
from tensordyno.analysis.where import devices_used, ran_on
from tensordyno.cli.accuracy_table import accuracy_table, percent
from tensordyno.cli.display import verdict_style
from tensordyno.datasets.base import DATASETS
from tensordyno.engines.base import ENGINES, engine_class
from tensordyno.errors import DynoError
from tensordyno.figures.labels import Labels
from tensordyno.models.base import cards
from tensordyno.records.trial import Plan
from tensordyno.store.reader import Run, read_run
from tensordyno.telemetry.base import SOURCES
from tensordyno.units import significant, with_interval, with_unit
from tensordyno.vocabulary import Task

_SPEED = ("images/s", "p50", "p99")
_SHOWN_CHECKS = (*SHOWN_AT_ONCE, faster_but_unstable)  # whoever reads no report must know these


def console() -> Console:
    """Where tables go; wide enough for a log when there is no terminal to measure.

    No markup: what lies in brackets is part of a path or of an engine's own words.
    """
    plain = Console(highlight=False, markup=False, emoji=False)
    return plain if plain.is_terminal else Console(highlight=False, markup=False, emoji=False, width=140)


def print_results(run: Run, rows: tuple[Score, ...], page: Path | None) -> None:
    """The short table at the end of a run, what a reader must know about it, and where the rest lies."""
    out = console()
    out.print(_trials(run, rows))
    for line in _reasons(rows):
        out.print(line, style="dim")
    if any(row.weights == "random" for row in rows):
        out.print("Random weights: speed only. top-1 is shown where a network was trained.", style="dim")
    if ends := batch_limits(run, rows):
        out.print(_limits(ends))
    compared = accuracy_rows(run, rows)
    if compared:
        out.print(accuracy_table(compared))
    for check in _SHOWN_CHECKS:
        for warning in check(run, rows):
            out.print(f"{warning.sentence} [{warning.slug}]", style="yellow")
    answers = best(rows, run.header.latency_bound_s)
    if answers:
        out.print(_answers(answers, rows))
    out.print(f"Run:    {run.folder.root}")
    if page:
        out.print(f"Report: {page}")


def _trials(run: Run, rows: tuple[Score, ...]) -> Table:
    """Every trial; speed only where it was asked for, and devices only where one trial had several."""
    several = any(row.devices > 1 for row in rows)
    boundaries = len({row.boundary for row in rows}) > 1
    timed = not rows or any(row.task != Task.ACCURACY for row in rows)
    places = ", ".join(ran_on(run.header.machine, rows))
    table = Table(title=f"{run.header.run}: {places}", title_justify="left", box=None)
    for heading in ("model", *(("boundary",) if boundaries else ()), "engine", "precision"):
        table.add_column(heading, no_wrap=True)
    headings = (
        "batch",
        *((_kind(rows),) if several else ()),
        *(_SPEED if timed else ()),
        *(("efficiency",) if several and timed else ()),
        "top-1",
        *(() if timed else ("top-5", "images")),
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for previous, row in zip((None, *rows), rows, strict=False):
        if previous and (previous.model, previous.batch_size) != (row.model, row.batch_size):
            table.add_section()
        model, *rest = _cells(row, timed, several)
        table.add_row(model, *((row.boundary,) if boundaries else ()), *rest)
    return table


def _kind(rows: tuple[Score, ...]) -> str:
    """What devices are called; a batch size is that of one of them."""
    return "GPUs" if all(row.device.startswith("cuda") for row in rows) else "devices"


def _limits(ends: tuple[BatchLimit, ...]) -> Table:
    """Where memory ran out, and the largest batch that fits."""
    table = Table(title="Largest batch that fits", title_justify="left", box=None)
    for heading in ("model", "engine", "precision", "memory"):
        table.add_column(heading, no_wrap=heading != "memory")
    for end in ends:
        table.add_row(end.score.model, end.score.engine, end.score.precision, end.sentence)
    return table


def print_plan(plan: Plan) -> None:
    """What would be measured, and what not and why."""
    out = console()
    for trial in plan.trials:
        out.print(f"run   {trial.id}")
    for skip in plan.skips:
        out.print(f"skip  {skip.trial.id}: {skip.reason}", style="dim")
    out.print(f"{len(plan.trials)} trials, {len(plan.skips)} skipped")


def print_runs(directory: Path) -> None:
    """Stored runs, newest last."""
    out = console()
    table = Table(box=None)
    for heading in ("run", "started", "devices", "trials", "valid", "state"):
        table.add_column(heading)
    found = sorted(directory.glob("*/records.jsonl")) if directory.exists() else []
    for cells in sorted((_run_cells(path.parent) for path in found), key=lambda cells: cells[1]):
        table.add_row(*cells)
    out.print(table if found else f"No runs in {directory}. Type: dyno run")


def print_models() -> None:
    """Networks of the catalogue."""
    table = Table(box=None)
    for heading in ("model", "input", "classes", "dataset", "weights"):
        table.add_column(heading)
    for card in cards().values():
        shape = "x".join(map(str, card.input_shape))
        weights = "packaged" if card.weights else "random (or --weights FILE)"
        table.add_row(card.name, shape, str(card.classes), card.dataset, weights)
    out = console()
    out.print(table)
    out.print("Also: torchvision:NAME, timm:NAME, FILE.onnx, package.module:function")


def print_members(what: str) -> None:
    """Engines with their one line, datasets and sensors by name."""
    out = console()
    if what == "engines":
        for name in ENGINES.names():
            out.print(f"{name:15} {engine_class(name).summary}")
        return
    for name in (DATASETS if what == "datasets" else SOURCES).names():
        out.print(name)


def _cells(row: Score, timed: bool, several: bool = False) -> tuple[str | Text, ...]:
    speed = (_interval(row.images_per_s), _time(row.latency_p50_s), _time(row.latency_p99_s))
    answers = (percent(row.top5), str(row.accuracy_images or ""))
    return (
        row.model,
        row.engine,
        row.precision,
        str(row.batch_size),
        *((str(row.devices),) if several else ()),
        *(speed if timed else ()),
        *((_efficiency(row.scaling_efficiency),) if several and timed else ()),
        percent(row.top1),
        *(() if timed else answers),
        Text(row.verdict.replace("_", " "), style=verdict_style(row.verdict)),
    )


def _answers(answers: tuple[Answer, ...], rows: tuple[Score, ...]) -> Table:
    """What to choose: the fastest and the soonest of each question, among VALID trials."""
    table = Table(title="Choose", title_justify="left", box=None)
    bounds = any(answer.under_bound for answer in answers)
    labels, order = Labels(rows), list(dict.fromkeys(row.model for row in rows))
    for heading in ("model", "best throughput", "best latency (p50)"):
        table.add_column(heading)
    if bounds:
        table.add_column("best within the latency bound")
    for answer in sorted(answers, key=lambda a: order.index(a.question.model)):
        bounded = answer.under_bound
        table.add_row(
            labels.panel(answer.question),
            _choice(answer.throughput, "images/s", _of_one(answer.throughput.score)),
            _choice(answer.latency, "s") if answer.latency else "",
            *((_choice(bounded.choice, "images/s") if bounded else "",) if bounds else ()),
        )
    return table


def _of_one(score: Score) -> str:
    """', efficiency 98.7 %' on several devices."""
    share = score.scaling_efficiency
    return f", efficiency {100 * share.value:.1f} %" if share else ""


def _choice(choice: Choice, unit: str, gain: str = "") -> str:
    """A winner as text: value, configuration, how many cannot be told from it, what it costs in answers."""
    score, value = choice.score, choice.value.value
    shown = with_unit(value, "s") if unit == "s" else f"{significant(value)} {unit}"
    ties = f", {len(choice.ties)} as good" if choice.ties else ""
    return f"{shown}  {score.engine} {score.precision} b{score.batch_size}{ties}{gain}{_cost(score)}"


def _cost(score: Score) -> str:
    """What the number format of a recommended trial costs, where that is known or ought to be."""
    difference = score.top1_difference
    if difference:
        half = 50 * (difference.high - difference.low)
        return f"\ntop-1 {100 * difference.value:+.2f} ±{half:.2f} points"
    return "\nits right answers were not counted" if is_unproved(score) else ""


def _reasons(rows: tuple[Score, ...]) -> list[str]:
    """Why trials are not VALID: each reason where it is the only one of its kind, else an example."""
    kinds: dict[tuple[str, str], list[Score]] = {}
    for row in rows:
        if row.reason:
            kinds.setdefault((row.verdict, row.slug or row.reason), []).append(row)
    lines = []
    for (verdict, _), members in kinds.items():
        first = members[0]
        which = first.trial if len(members) == 1 else f"{len(members)} trials, for example {first.trial}"
        lines.append(f"{verdict.replace('_', ' ')}: {which}: {first.reason}")
    return lines


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    if not interval.is_bounded:
        return significant(interval.value)
    return with_interval(interval.value, interval.low, interval.high)


def _efficiency(share: Interval | None) -> str:
    """'98.7 ±0.3 %': throughput over that of as many single devices."""
    if share is None:
        return ""
    doubt = f" ±{50 * (share.high - share.low):.1f}" if share.is_bounded else ""
    return f"{100 * share.value:.1f}{doubt} %"


def _time(interval: Interval | None) -> str:
    return with_unit(interval.value, "s") if interval else ""


def _run_cells(root: Path) -> tuple[str, ...]:
    try:
        run = read_run(root)
    except DynoError as error:
        return (root.name, "", "", "", "", error.sentence)
    valid = sum(outcome.verdict == "valid" for outcome in run.outcomes)
    whole = run.footer is not None and not run.footer.interrupted
    state = "finished" if whole else f"interrupted: dyno run --resume {root}"
    devices = ", ".join(devices_used(run.outcomes)) or run.header.machine.cpu
    started = run.header.started.replace("T", " ")[:16]
    return (root.name, started, devices, str(len(run.plan.trials)), str(valid), state)
