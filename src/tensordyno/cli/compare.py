"""`dyno compare`: what changed between two runs, and whether that can be believed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tensordyno.analysis.compare import Comparison
    from tensordyno.analysis.scores import Interval, Score

SUMMARY = "Compare two runs: faster, slower, same or unclear, with intervals."

_STYLES = {
    "faster": "green",
    "better": "green",
    "fixed": "green",
    "slower": "red",
    "worse": "red",
    "broken": "red",
    "same": "",
    "unclear": "yellow",
}


@click.command("compare", short_help=SUMMARY)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--margin", default=0.02, show_default=True, help="Differences within it do not matter.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option(
    "--fail-on-slower",
    is_flag=True,
    help="Exit with 1 when a configuration became slower, gives fewer right answers, or broke.",
)
def command(old: Path, new: Path, margin: float, as_json: bool, fail_on_slower: bool) -> int:
    """Compare the run NEW with the run OLD, configuration by configuration."""
    from tensordyno.analysis.compare import Change, compare
    from tensordyno.analysis.scores import scores
    from tensordyno.errors import UsageError
    from tensordyno.store.reader import read_run

    if not 0 < margin < 1:
        raise UsageError(
            "bad-margin", f"--margin {margin}: a fraction between 0 and 1 is needed.", "Type: --margin 0.02"
        )
    before, after = read_run(old), read_run(new)
    found = compare(before, after, scores(before), scores(after), margin)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found))
    else:
        _show(found)
    worse = any(match.change in (Change.SLOWER, Change.WORSE, Change.BROKEN) for match in found.matches)
    return 1 if fail_on_slower and worse else 0


def _rate(score: "Score") -> str:
    """Throughput, or top-1 where nothing was timed, or how the trial ended."""
    from tensordyno.units import significant

    if score.images_per_s:
        return significant(score.images_per_s.value)
    if score.top1 and score.verdict.is_measured:
        return f"top-1 {100 * score.top1.value:.2f} %"
    return score.verdict


def _points(difference: "Interval | None") -> str:
    """New top-1 minus old: '-0.05 (-0.31 to +0.21)'."""
    from tensordyno.units import points_text

    if difference is None:
        return ""
    return points_text(difference.value, difference.low, difference.high).replace(" points", "")


def _show(found: "Comparison") -> None:
    from rich.table import Table
    from rich.text import Text

    from tensordyno.cli.table import console
    from tensordyno.units import ratio_text

    out = console()
    table = Table(box=None)
    for heading in ("model", "engine", "precision"):
        table.add_column(heading)
    for heading in ("batch", "old images/s", "new images/s", "new/old", "top-1, points"):
        table.add_column(heading, justify="right")
    table.add_column("change")
    for match in found.matches:
        old, new = match.old, match.new
        table.add_row(
            new.model,
            new.engine,
            new.precision,
            str(new.batch_size),
            _rate(old),
            _rate(new),
            ratio_text(match.ratio.value, match.ratio.low, match.ratio.high) if match.ratio else "",
            _points(match.difference),
            Text(match.change, style=_STYLES[match.change]),
        )
    out.print(table if found.matches else "No configuration is in both runs.")
    for side, only in (("old", found.only_old), ("new", found.only_new)):
        for score in only:
            out.print(f"only in the {side} run: {score.trial}", style="dim")
    for difference in found.environment:
        out.print(f"environment: {difference.what}: {difference.old} -> {difference.new}", style="yellow")
    out.print(found.note, style="dim")


MEMBER = command
