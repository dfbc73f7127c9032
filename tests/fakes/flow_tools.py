"""What the flow tests share: specs of the null engine, and `dyno` as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml

from tensordyno.cli.main import _status
from tensordyno.store.reader import read_run

# The fake clock makes a second of measuring cost nothing; the network's cache is shared by all tests.
QUICK = {
    "name": "flow",
    "models": ["lenet5_fashion"],
    "precisions": ["fp32"],
    "telemetry": {"sources": [], "overhead": False},
    "verify_images": 8,
    "accuracy_images": 16,
    "measure": {"clock": "fake", "min_seconds": 1, "max_seconds": 4},
}
# On the real clock neither a busy machine nor a late wake-up may decide a verdict.
REAL = {
    "clock": "real",
    "min_seconds": 0.2,
    "max_seconds": 60,
    "warmup_seconds": 0.05,
    "burst_seconds": 0.05,
    "max_probe_loss": 0.99,
    "target_half_width": 0.9,
}
ENDLESS = REAL | {"min_seconds": 600, "max_seconds": 900}


class Ended(NamedTuple):
    """What `dyno` returned and said."""

    status: int
    out: str
    err: str

    @property
    def summary(self) -> dict:
        """The JSON that stdout consists of."""
        return json.loads(self.out)


def null(**options):
    return {"name": "null", "options": options}


def spec(engines, **changes):
    """A quick spec with these engines; `changes` replace its keys, None removes one."""
    whole = QUICK | {"engines": engines} | changes
    return {key: value for key, value in whole.items() if value is not None}


def write_spec(folder: Path, content, name="spec.yaml") -> Path:
    path = Path(folder) / name
    path.write_text(yaml.safe_dump(content, sort_keys=False) if isinstance(content, dict) else content)
    return path


class InProcess:
    """Calls the entry point of `dyno` within this process: a tenth of a second instead of a whole one."""

    def __init__(self, capsys, monkeypatch):
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["dyno", *map(str, arguments)])
        self._capsys.readouterr()
        status = _status()
        out, err = self._capsys.readouterr()
        return Ended(status, out, err)


def start_dyno(*arguments, **popen):
    """`dyno` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tensordyno.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )


def run_dyno(*arguments, timeout=120, **popen) -> Ended:
    with start_dyno(*arguments, **popen) as process:
        out, err = process.communicate(timeout=timeout)
    return Ended(process.returncode, out, err)


def wait_for(condition, what, seconds=60.0):
    """The first true answer of `condition`; a busy machine may take its time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


def workers_of(pid):
    """Living worker processes of a `dyno`."""
    try:
        children = psutil.Process(pid).children()
        return [c for c in children if "tensordyno.worker" in c.cmdline()]
    except psutil.NoSuchProcess:
        return []


def workers_here():
    """The workers of the test's own process."""
    return workers_of(psutil.Process().pid)


def is_gone(pid):
    """Whether a process has ended; a zombie waits only for its parent."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def measuring(root):
    """Whether a trial that never ends by itself has been built and is being measured."""
    logs = list(Path(root).glob("logs/*.log"))
    records = Path(root) / "records.jsonl"
    return bool(logs) and records.exists() and b'"outcome"' in records.read_bytes()


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)


def verdicts(root):
    """Trial -> verdict of the last outcome; the engine's telling option stands for the trial."""
    return {o.trial.engine.label: o.verdict.value for o in read_run(Path(root)).outcomes}
