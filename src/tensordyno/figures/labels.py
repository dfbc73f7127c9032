"""What panels and series are called: model and engine, plus only those conditions that differ in the run."""

from collections.abc import Iterable, Sequence

from tensordyno.analysis.alike import Question, question
from tensordyno.analysis.scores import Score


class Labels:
    """Names for the panels and series of one run.

    A condition (boundary, device, data set, allocator, ...) is named only when it varies, so that two
    trials never share a name unless they are the same, and a plain run has plain names.
    """

    def __init__(self, scores: Sequence[Score]) -> None:
        asked = {question(s) for s in scores}
        self._boundaries = len({q.boundary for q in asked}) > 1
        self._devices = len({q.device for q in asked}) > 1
        self._counts = len({(q.devices, q.nodes) for q in asked}) > 1
        self._datasets = len({(q.model, q.dataset) for q in asked}) > len({q.model for q in asked})
        self._allocators = len({s.allocator for s in scores}) > 1
        self._threads = len({s.threads for s in scores if s.threads}) > 1

    def panel(self, score: Score | Question) -> str:
        """What may be compared: 'resnet50', or 'resnet50, device boundary, 2 x cuda'."""
        parts = [score.model]
        if self._datasets:
            parts.append(score.dataset)
        if self._boundaries:
            parts.append(f"{score.boundary} boundary")
        if self._counts:
            parts.append(f"{score.devices} x {score.device}")
        elif self._devices:
            parts.append(score.device)
        if self._counts and score.nodes > 1:
            parts.append(f"{score.nodes} nodes")
        return ", ".join(parts)

    def engine(self, score: Score) -> str:
        """The engine with its options and the process settings that differ."""
        extra = []
        if self._allocators and score.allocator != "default":
            extra.append(f"malloc {score.allocator}")
        if self._threads and score.threads:
            extra.append(f"{score.threads} threads")
        return " ".join([score.engine, *([f"[{', '.join(extra)}]"] if extra else [])])

    def series(self, score: Score) -> str:
        """One configuration whatever its batch size: 'openvino bf16'."""
        return f"{self.engine(score)} {score.precision}"


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once, in order of first appearance."""
    return list(dict.fromkeys(names))
