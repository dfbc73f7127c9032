"""`dyno ls`: the runs stored here, or the networks, engines, datasets and sensors there are."""

from pathlib import Path

import click

SUMMARY = "List stored runs, or models, engines, datasets, sensors."

_KINDS = ("runs", "models", "engines", "datasets", "sensors")


@click.command("ls", short_help=SUMMARY)
@click.argument("what", default="runs", type=click.Choice(_KINDS))
@click.option(
    "-C",
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder that holds the runs.",
)
def command(what: str, directory: Path) -> int:
    """List WHAT: runs (default), models, engines, datasets or sensors."""
    from tensordyno.cli import table

    if what == "runs":
        table.print_runs(directory)
    elif what == "models":
        table.print_models()
    else:
        table.print_members(what)
    return 0


MEMBER = command
