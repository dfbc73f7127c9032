"""What panels and series are called: model and engine, plus only those conditions that differ in the run."""

from collections.abc import Iterable, Sequence

from tensordyno.analysis.scores import Score
from tensordyno.records.trial import Trial
from tensordyno.store.reader import Run


class Labels:
    """Names for the panels and series of one run.

    A condition (boundary, device, device count, allocator, ...) is named only when it varies, so that
    two trials never share a name unless they are the same, and a plain run has plain names.
    """

    def __init__(self, run: Run, scores: Sequence[Score]) -> None:
        trials = (*run.plan.trials, *(s.trial for s in run.plan.skips), *(o.trial for o in run.outcomes))
        self._trials = {t.id: t for t in trials}
        self._boundaries = len({s.boundary for s in scores}) > 1
        self._devices = len({s.device for s in scores}) > 1
        self._counts = len({(s.devices, s.nodes) for s in scores}) > 1
        self._allocators = len({t.allocator for t in self._trials.values()}) > 1
        self._threads = len({t.threads for t in self._trials.values()}) > 1

    def panel(self, score: Score) -> str:
        """What may be compared: 'resnet50', or 'resnet50, device boundary, 2 x cuda'."""
        parts = [score.model]
        if self._boundaries:
            parts.append(f"{score.boundary} boundary")
        if self._devices or self._counts:
            parts.append(f"{score.devices} x {score.device}" if self._counts else score.device)
        if self._counts and score.nodes > 1:
            parts.append(f"{score.nodes} nodes")
        return ", ".join(parts)

    def engine(self, score: Score) -> str:
        """The engine with its options and the process settings that differ."""
        trial: Trial | None = self._trials.get(score.trial)
        extra = []
        if trial and self._allocators:
            extra.append(f"malloc {trial.allocator}")
        if trial and self._threads and trial.threads:
            extra.append(f"{trial.threads} threads")
        return " ".join([score.engine, *([f"[{', '.join(extra)}]"] if extra else [])])

    def series(self, score: Score) -> str:
        """One configuration whatever its batch size: 'openvino bf16'."""
        return f"{self.engine(score)} {score.precision}"


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once, in order of first appearance."""
    return list(dict.fromkeys(names))
