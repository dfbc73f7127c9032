"""How long a stored run of 10,000 trials takes to load, score and report, and how much memory that needs."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import finish, parser

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fakes"))
from made_run import Story, make_run

BATCHES = (1, 2, 4, 8, 16, 32, 64)
TRIALS_A_MODEL = 49  # 4 engines x 2 precisions x 7 batch sizes, less 7 that are planned away
LOAD = "import sys; from pathlib import Path; from tensordyno.store.reader import read_run\n"
LOAD += "from tensordyno.analysis.scores import scores\nscores(read_run(Path(sys.argv[1])))"


def timed(command: list[str]) -> tuple[float, int]:
    """Wall-clock seconds and peak resident bytes of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"failed: {command}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def main() -> None:
    """Make the run, then time `dyno report` on it in a process of its own."""
    arguments = parser(__doc__)
    arguments.add_argument("--trials", type=int, default=10_000, help="at least so many")
    arguments.add_argument("--keep", type=Path, help="make the run here and leave it")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = chosen.keep or Path(scratch) / "run"
        models = tuple(f"network_{i:03}" for i in range(-(-chosen.trials // TRIALS_A_MODEL)))
        make_run(root, Story(models=models, batches=BATCHES, endings={}))
        load_s, _ = timed([sys.executable, "-c", LOAD, str(root)])
        report = [sys.executable, "-m", "tensordyno.cli.main", "report", str(root), "--quiet"]
        report_s, peak_bytes = timed(report)
        page_bytes = (root / "report" / "index.html").stat().st_size
    finish(
        {
            "trials": len(models) * TRIALS_A_MODEL,
            "load_and_score_s": load_s,
            "load_and_report_s": report_s,
            "goal_s": 10.0,
            "peak_bytes": peak_bytes,
            "goal_bytes": 1_000_000_000,
            "page_bytes": page_bytes,
        },
        chosen.out,
    )


if __name__ == "__main__":
    main()
