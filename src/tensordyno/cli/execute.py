"""What `run` and `infer` share: run it, show it, summarise it, report it, say how it went."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tensordyno.analysis.scores import Score, scores
from tensordyno.analysis.summary import summary
from tensordyno.cli.display import make_progress
from tensordyno.cli.table import print_plan, print_results
from tensordyno.errors import Interrupted, NothingValid
from tensordyno.plan.make import make_plan
from tensordyno.run.launched import from_environment, host
from tensordyno.run.start import default_root, resume_run, start_run
from tensordyno.spec.yaml_file import SpecFile
from tensordyno.store.reader import Run, read_run
from tensordyno.store.writer import write_whole
from tensordyno.vocabulary import Task, Verdict


def show_plan(loaded: SpecFile) -> int:
    """Print what would be measured and what would be skipped."""
    loaded = _as_launched(loaded)
    print_plan(make_plan(loaded.spec, loaded.places, host()))
    return 0


def start(loaded: SpecFile, output: Path | None, *, as_json: bool, report: bool) -> int:
    """Run a spec in a new folder; returns the exit status."""
    loaded = _as_launched(loaded)
    _gather()
    root = output or default_root(loaded.spec)
    with _resumable(root), make_progress(quiet=as_json) as progress:
        start_run(loaded, root, ["dyno", *sys.argv[1:]], progress)
    return _conclude(root, as_json=as_json, report=report)


def resume(root: Path, *, as_json: bool, report: bool) -> int:
    """Go on with a run; returns the exit status."""
    _gather()
    with _resumable(root), make_progress(quiet=as_json) as progress:
        resume_run(root, progress)
    return _conclude(root, as_json=as_json, report=report)


def _as_launched(loaded: SpecFile) -> SpecFile:
    """Under torchrun or mpirun a spec that does not say on how many devices means one for each rank."""
    launch = from_environment()
    if launch is None or loaded.spec.task is Task.ACCURACY or loaded.places.names(("gpus",)):
        return loaded
    return SpecFile(msgspec.structs.replace(loaded.spec, gpus=(launch.size,)), loaded.places)


def _gather() -> None:
    """Wait for the other ranks of a launch before anything is written."""
    if launch := from_environment():
        launch.gather()


@contextmanager
def _resumable(root: Path) -> Iterator[None]:
    """Say how to go on with a run that the user stops."""
    try:
        yield
    except KeyboardInterrupt:
        remedy = f"Type: dyno run --resume {shlex.quote(str(root))}"
        raise Interrupted("interrupted", "Stopped; what was measured so far is kept.", remedy) from None


def _conclude(root: Path, *, as_json: bool, report: bool) -> int:
    run = read_run(root)
    rows = scores(run)
    text = write_summary(run, rows)
    page = _report(root) if report else None
    if as_json:
        sys.stdout.buffer.write(text + b"\n")
    else:
        print_results(run, rows, page)
    if not any(row.verdict is Verdict.VALID for row in rows):
        raise _nothing_valid(rows)
    return 0


def _nothing_valid(rows: tuple[Score, ...]) -> NothingValid:
    """The one line for a run that ended in vain, with the reason if all trials share it."""
    tried = [row for row in rows if row.verdict is not Verdict.SKIPPED] or rows
    reasons = {(row.slug, row.reason) for row in tried}
    if len(reasons) == 1:
        slug, reason = reasons.pop()
        is_name = "." in reason.partition(" ")[0]  # of a file
        begun = reason if is_name else f"{reason[:1].upper()}{reason[1:]}"
        return NothingValid(slug or "nothing-valid", f"No trial is VALID. {begun}")
    return NothingValid("nothing-valid", "No trial is VALID; the table names the reason of each.")


def write_summary(run: Run, rows: tuple[Score, ...]) -> bytes:
    """Write summary.json, the public table of a run; returns its text."""
    text = msgspec.json.format(msgspec.json.encode(summary(run, rows)), indent=2)
    write_whole(run.folder.summary, text)
    return text


def _report(root: Path) -> Path | None:
    """Make the report in a process of its own: its libraries are large, and it cannot hurt the run."""
    made = subprocess.run(
        [sys.executable, "-m", "tensordyno.cli.main", "report", str(root), "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode == 0:
        return Path(made.stdout.strip())
    print(made.stderr.strip(), file=sys.stderr)
    return None
