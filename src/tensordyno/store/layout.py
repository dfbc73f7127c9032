"""Where things lie in a run folder.

spec.yaml          what was asked, complete with defaults
plan.json          the trials and the skips
records.jsonl      header, outcomes, sampler facts, footer: one flushed line each
samples/ID.npy     latency of every batch of a trial in seconds, float64, burst after burst
answers/ID.npy     what a trial answered: int32 (images, 3), a row a labelled image in the dataset's order:
                   its label, the first class of the logits, the label's rank from 0 (0: right, < 5: top-5)
readings/SRC.jsonl telemetry: a line of channels, then readings; may be gzipped later (SRC.jsonl.gz)
logs/ID.log        what a worker printed
summary.json       the flat public table, written at the end
report/            index.html, report.md, trials.csv, trials.parquet, figures/
"""

from pathlib import Path


class RunFolder:
    """The paths of one run; nothing is created by asking for them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spec = root / "spec.yaml"
        self.plan = root / "plan.json"
        self.records = root / "records.jsonl"
        self.samples = root / "samples"
        self.answers = root / "answers"
        self.readings = root / "readings"
        self.logs = root / "logs"
        self.summary = root / "summary.json"
        self.report = root / "report"

    def sample_file(self, trial_id: str) -> Path:
        """Raw latencies of one trial."""
        return self.samples / f"{trial_id}.npy"

    def answer_file(self, trial_id: str) -> Path:
        """What one trial answered to labelled images."""
        return self.answers / f"{trial_id}.npy"

    def reading_files(self) -> list[Path]:
        """Telemetry of all sources in alphabetical order, gzipped or not."""
        return sorted((*self.readings.glob("*.jsonl"), *self.readings.glob("*.jsonl.gz")))

    def reading_file(self, source: str) -> Path:
        """Telemetry of one source."""
        return self.readings / f"{source}.jsonl"

    def log_file(self, trial_id: str) -> Path:
        """What the worker of one trial printed."""
        return self.logs / f"{trial_id}.log"
