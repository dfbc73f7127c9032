"""`dyno run`: run a spec, the quick demonstration, or what an interrupted run still lacks."""

from pathlib import Path

import click

SUMMARY = "Run a spec; without one, the quick demonstration."


@click.command("run", short_help=SUMMARY)
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the spec, e.g. measure.min_seconds=5.",
)
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Finish an interrupted run.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run folder; default runs/DATE-NAME.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and its skips, measure nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json alone on stdout.")
@click.option("--no-report", is_flag=True, help="Leave the report to: dyno report RUN.")
def command(
    spec: Path | None,
    sets: tuple[str, ...],
    resume: Path | None,
    output: Path | None,
    dry_run: bool,
    as_json: bool,
    no_report: bool,
) -> int:
    r"""Run SPEC.yaml; without one, the quick demonstration: real networks on every engine here.

    \b
    dyno run
    dyno run specs/cpu_engines.yaml --set measure.min_seconds=5
    dyno run --resume runs/2026-11-21_120501-demo
    """
    from tensordyno.cli import execute
    from tensordyno.errors import UsageError
    from tensordyno.spec.yaml_file import DEMO, load_spec

    if resume is not None:
        if spec or sets or output or dry_run:
            raise UsageError(
                "resume-alone",
                "--resume goes on with a run as it was planned.",
                "Type: dyno run --resume RUN",
            )
        return execute.resume(resume, as_json=as_json, report=not no_report)
    loaded = load_spec(spec or DEMO, sets)
    if dry_run:
        return execute.show_plan(loaded)
    return execute.start(loaded, output, as_json=as_json, report=not no_report)


MEMBER = command
