"""Runs workloads of known cost through the whole pipeline: workers, clock, folder, analysis, summary."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tensordyno.analysis.scores import scores
from tensordyno.analysis.selftest import Finding, check_energy, check_percentiles, check_run, check_work
from tensordyno.engines.known_work import amount
from tensordyno.run.progress import Progress
from tensordyno.run.start import start_run
from tensordyno.spec.yaml_file import spec_from_text
from tensordyno.store.reader import Run, read_run

# Batches of 20 ms asleep: waking up late costs some 0.1 ms, and a busy machine hardly matters, so the
# spin probe need not hold them up. Known work is judged by its best burst for the same reason.
SPEC = """
name: selftest
purpose: Workloads of known cost; every number can be foretold.
models: [lenet5_fashion]
precisions: [fp32]
telemetry: {overhead: false}
verify_images: 8
accuracy_images: 8
blocks:
  - engines: [{name: "null", options: {cost_s: 0.01}}]
    batch_sizes: [1, 8]
    measure: {clock: fake, min_seconds: 10}
  - engines: [{name: "null", options: {cost_s: 0.004, per_image_s: 0.0005}}]
    batch_sizes: [32]
    measure: {clock: fake, min_seconds: 10}
  - engines: [{name: "null", options: {cost_s: 0.02}}]
    batch_sizes: [1, 4]
    measure: {min_seconds: 2, max_seconds: 20, max_probe_loss: 0.99}
  - engines:
      - {name: "null", options: {work: matmul, size: 384}}
      - {name: "null", options: {work: copy, size: 524288}}
    threads: 1
    measure: {min_seconds: 3, max_seconds: 12, burst_seconds: 0.1, max_probe_loss: 0.99}
"""


def run_selftest(spec_text: str = SPEC) -> Iterator[Finding]:
    """Every finding about the instrument; the run's folder is thrown away afterwards."""
    yield from check_percentiles()
    yield from check_energy()
    with TemporaryDirectory(prefix="dyno-selftest-") as folder:
        root = Path(folder) / "run"
        loaded = spec_from_text(spec_text, "self-test")
        known = [e.options for p in loaded.spec.products() for e in p.engines if e.options.get("work")]
        before = [_bare_rate(options) for options in known]
        start_run(loaded, root, ["dyno", "doctor", "--selftest"], Progress())
        bare = [max(rate, _bare_rate(options)) for rate, options in zip(before, known, strict=True)]
        run = read_run(root)
        yield from check_run(run, scores(run))
        for options, rate in zip(known, bare, strict=True):
            yield from _check_known_work(run, options, rate)


def _check_known_work(run: Run, options: dict[str, Any], bare_per_s: float) -> tuple[Finding, ...]:
    kind, size = options["work"], options["size"]
    name = f"{kind}, {'FLOP/s' if kind == 'matmul' else 'B/s'}, against a bare stopwatch"
    bursts = [b for o in run.outcomes if o.trial.engine.options == options for b in o.bursts]
    return check_work(bursts, amount(kind, size), bare_per_s, name)


def _bare_rate(options: dict[str, Any]) -> float:
    """The same work timed by a loop of its own, in a process like a worker's."""
    work = (options["work"], str(options["size"]))
    command = [sys.executable, "-m", "tensordyno.engines.known_work", *work]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)
