"""How long `dyno --help` takes, and how much memory the parent holds while it measures."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import finish, parser

ROUNDS = 20


def help_s() -> float:
    """Wall-clock seconds of one `dyno --help`."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tensordyno.cli.main", "--help"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def parent_peak_bytes() -> int:
    """Peak resident memory of the parent of a real run, its workers not counted.

    Read from /proc while it runs: what `wait4` tells would include the children that it waited for.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = [sys.executable, "-m", "tensordyno.cli.main", "infer", "resnet8_fashion"]
        options = ["--engine", "torch,onnxruntime", "--no-report", "-o", str(Path(folder) / "run")]
        process = subprocess.Popen([*run, *options], stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            line = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
            peak = int(line.split()[1]) * 1024 if line else peak
            time.sleep(0.05)
    return peak


def main() -> None:
    """Measure both."""
    arguments = parser(__doc__).parse_args()
    help_s()  # the first one reads files from the disk
    times = [help_s() for _ in range(ROUNDS)]
    finish(
        {
            "help_median_s": statistics.median(times),
            "help_worst_s": max(times),
            "help_goal_s": 0.25,
            "parent_peak_bytes": parent_peak_bytes(),
            "parent_goal_bytes": 150_000_000,
        },
        arguments.out,
    )


if __name__ == "__main__":
    main()
