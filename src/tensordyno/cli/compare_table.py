"""What `dyno compare` prints about runs on different devices: ratios, geometric means, environment."""

from collections.abc import Iterable, Sequence

import click
import msgspec
from rich.table import Table
from rich.text import Text

from tensordyno.analysis.compare import Change, judge
from tensordyno.analysis.compare_devices import Contest, DeviceComparison, Standing, compare_devices
from tensordyno.analysis.scores import Score
from tensordyno.cli.table import console
from tensordyno.store.reader import Run
from tensordyno.units import ratio_text, significant
from tensordyno.vocabulary import Verdict

MOST_NAMED = 8  # trials of a run that no other matches


def compare_on_devices(
    runs: Sequence[Run], rows: Sequence[Sequence[Score]], margin: float, *, as_json: bool
) -> bool:
    """Print the comparison; whether a side is slower than the first beyond doubt and margin, or broke."""
    found = compare_devices(runs, rows)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        _show(found)
    return any(
        _is_worse(standing, contest, margin) for contest in found.contests for standing in _others(contest)
    )


def _others(contest: Contest) -> Iterable[Standing]:
    return (standing for standing in contest.standings[1:] if standing)


def _is_worse(standing: Standing, contest: Contest, margin: float) -> bool:
    first = contest.standings[0]
    broke = first and first.score.verdict is Verdict.VALID and standing.score.verdict is not Verdict.VALID
    return bool(broke) or judge(standing.ratio, margin) is Change.SLOWER


def _show(found: DeviceComparison) -> None:
    out = console()
    for number, side in enumerate(found.sides, start=1):
        out.print(f"{number}: {side.label} (run {side.run}, {side.machine})")
    out.print(_table(found) if found.contests else "No configuration is in two of the runs.")
    for mean in found.means:
        out.print(
            f"{found.sides[mean.side].label} in {mean.precision}: {mean.value:.2f}x {found.sides[0].label}, "
            f"geometric mean over networks ({mean.networks}), {mean.low:.2f}x to {mean.high:.2f}x"
        )
    for side, trials in zip(found.sides, found.alone, strict=True):
        for line in listed(f"only in the run of {side.label}", trials):
            out.print(line, style="dim")
    weighty = [contrast for contrast in found.environment if contrast.weighty]
    for contrast in weighty:
        out.print(f"environment: {contrast.what}: {' -> '.join(contrast.values)}", style="yellow")
    if more := len(found.environment) - len(weighty):
        out.print(f"environment: {more} more facts differ (all with --json, or --output DIR)", style="dim")
    out.print(found.note, style="dim")


def listed(what: str, trials: Sequence[str]) -> list[str]:
    """A line a trial for the first few, and the number of the rest."""
    lines = [f"{what}: {trial}" for trial in trials[:MOST_NAMED]]
    more = len(trials) - MOST_NAMED
    return [*lines, f"{what}: {more} more (all with --json)"] if more > 0 else lines


def _table(found: DeviceComparison) -> Table:
    several = any(contest.devices > 1 for contest in found.contests)
    table = Table(box=None)
    for heading in ("model", "engine", "precision"):
        table.add_column(heading)
    headings = ["batch", *(["devices"] if several else []), "images/s 1"]
    for number in range(2, len(found.sides) + 1):
        headings += [f"images/s {number}", f"{number} over 1", "p50", "images/J"]
    for heading in headings:
        table.add_column(heading, justify="right")
    for contest in found.contests:
        table.add_row(*_cells(contest, several))
    return table


def _cells(contest: Contest, several: bool) -> list[str | Text]:
    first, *others = contest.standings
    cells: list[str | Text] = [contest.model, contest.engine, contest.precision, str(contest.batch_size)]
    cells += [str(contest.devices)] if several else []
    cells.append(_rate(first))
    for standing in others:
        cells += [_rate(standing), *_ratios(standing)]
    return cells


def _rate(standing: Standing | None) -> str:
    if standing is None:
        return ""
    score = standing.score
    if score.images_per_s and score.verdict.is_measured:
        return significant(score.images_per_s.value)
    return score.verdict.replace("_", " ")


def _ratios(standing: Standing | None) -> tuple[str | Text, str, str]:
    if standing is None or standing.ratio is None:
        return "", "", ""
    ratio = standing.ratio
    style = {Change.FASTER: "green", Change.SLOWER: "red"}.get(judge(ratio), "")
    text = Text(ratio_text(ratio.value, ratio.low, ratio.high), style=style)
    return text, _times(standing.latency_ratio), _times(standing.frugality_ratio)


def _times(value: float | None) -> str:
    return f"{significant(value)}x" if value else ""
