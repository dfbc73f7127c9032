"""`dyno report`: make the report of a stored run anew."""

from pathlib import Path

import click

SUMMARY = "Make the report of a stored run: HTML, Markdown, CSV, Parquet, figures."


@click.command("report", short_help=SUMMARY)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Where; default RUN/report."
)
@click.option(
    "--nvidia-smi-csv",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the GPU readings with nvidia-smi's own column names.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but the path.")
def command(run: Path, output: Path | None, nvidia_smi_csv: Path | None, quiet: bool) -> int:
    """Make the report of RUN from its stored facts alone; nothing is measured."""
    from tensordyno.report.write import write_report

    page = write_report(run, output)
    if nvidia_smi_csv is not None:
        _write_nvidia_smi_csv(run, nvidia_smi_csv)
    click.echo(page if quiet else f"Report: {page}")
    return 0


def _write_nvidia_smi_csv(root: Path, path: Path) -> None:
    from datetime import datetime

    from tensordyno.store.reader import read_run
    from tensordyno.store.writer import write_whole
    from tensordyno.telemetry.nvidia_smi_csv import nvidia_smi_csv

    run = read_run(root)
    started = datetime.fromisoformat(run.header.started)
    text = nvidia_smi_csv(run.series, run.devices, started, run.header.clock_start_s)
    write_whole(path, text.encode())


MEMBER = command
