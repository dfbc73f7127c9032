"""Runs workloads of known cost through the whole pipeline: workers, clock, folder, analysis, summary."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tensordyno.analysis.scores import scores
from tensordyno.analysis.selftest import Finding, check_energy, check_percentiles, check_run
from tensordyno.run.progress import Progress
from tensordyno.run.start import start_run
from tensordyno.spec.yaml_file import spec_from_text
from tensordyno.store.reader import read_run

# Batches of 20 ms asleep: waking up late costs 0.1 ms at most, and a busy machine does not matter.
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
    measure: {min_seconds: 2, max_seconds: 20}
"""


def run_selftest(spec_text: str = SPEC) -> Iterator[Finding]:
    """Every finding about the instrument; the run's folder is thrown away afterwards."""
    yield from check_percentiles()
    yield from check_energy()
    with TemporaryDirectory(prefix="dyno-selftest-") as folder:
        root = Path(folder) / "run"
        start_run(spec_from_text(spec_text, "self-test"), root, ["dyno", "doctor", "--selftest"], Progress())
        run = read_run(root)
        yield from check_run(run, scores(run))
