"""`dyno compare`: what changed between two runs, what a device is worth, and whether that can be believed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tensordyno.analysis.compare import Comparison
    from tensordyno.analysis.scores import Interval, Score
    from tensordyno.store.reader import Run

SUMMARY = "Compare runs: faster, slower, same or unclear, or one device with another, with intervals."

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
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", type=click.Path(path_type=Path))
@click.option("--margin", default=0.02, show_default=True, help="Differences within it do not matter.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Also write a page with figures: index.html, comparison.md, comparison.json.",
)
@click.option(
    "--fail-on-slower",
    is_flag=True,
    help="Exit with 1 when a configuration became slower, gives fewer right answers, or broke.",
)
def command(
    runs: tuple[Path, ...], margin: float, as_json: bool, output: Path | None, fail_on_slower: bool
) -> int:
    """Compare runs with the first of them, configuration by configuration.

    Two runs on the same device are an old one and a new one. Runs on different devices are compared device
    by device: configurations are matched over everything else.
    """
    from tensordyno.analysis.compare_devices import differ
    from tensordyno.analysis.scores import scores
    from tensordyno.errors import UsageError
    from tensordyno.store.reader import read_run

    if len(runs) < 2:
        raise click.UsageError("Two runs or more are needed", click.get_current_context())

    if not 0 < margin < 1:
        raise UsageError(
            "bad-margin", f"--margin {margin}: a fraction between 0 and 1 is needed.", "Type: --margin 0.02"
        )
    read = [read_run(path) for path in runs]
    rows = [scores(run) for run in read]
    page = _page(read, rows, output) if output else None
    if len(read) > 2 or differ(*rows):
        from tensordyno.cli.compare_table import compare_on_devices

        worse = compare_on_devices(read, rows, margin, as_json=as_json)
    else:
        worse = _compare_two(read, rows, margin, as_json=as_json)
    if page and not as_json:
        click.echo(f"Page: {page}")
    return 1 if fail_on_slower and worse else 0


def _page(runs: "Sequence[Run]", rows: "Sequence[Sequence[Score]]", output: Path) -> Path:
    from tensordyno.analysis.compare_devices import compare_devices
    from tensordyno.report.comparison_write import write_comparison

    return write_comparison(compare_devices(runs, rows), output)


def _compare_two(
    runs: "Sequence[Run]", rows: "Sequence[Sequence[Score]]", margin: float, *, as_json: bool
) -> bool:
    """Print what changed from an old run to a new one; whether anything became worse."""
    from tensordyno.analysis.compare import Change, compare

    found = compare(runs[0], runs[1], rows[0], rows[1], margin)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found))
    else:
        _show(found)
    return any(match.change in (Change.SLOWER, Change.WORSE, Change.BROKEN) for match in found.matches)


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

    from tensordyno.cli.compare_table import listed
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
        for line in listed(f"only in the {side} run", [score.trial for score in only]):
            out.print(line, style="dim")
    for difference in found.environment:
        out.print(f"environment: {difference.what}: {difference.old} -> {difference.new}", style="yellow")
    out.print(found.note, style="dim")


MEMBER = command
