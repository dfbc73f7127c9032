"""What panels and series are called: model and engine, plus only those conditions that differ in the run."""

from collections.abc import Callable, Collection, Iterable, Sequence

from tensordyno.analysis.alike import Question, question, threads_that_matter
from tensordyno.analysis.scores import Score
from tensordyno.device import device_index, device_kind
from tensordyno.vocabulary import Precision

# What of a calibration may differ, and how it is called.
_CALIBRATIONS: dict[str, Callable[[Score], str]] = {
    "method": lambda s: s.calibration_method,
    "images": lambda s: f"{s.calibration_images:,} images" if s.calibration_images else "",
    "batch": lambda s: f"{s.calibration_batch} at a time" if s.calibration_batch else "",
    "seed": lambda s: f"seed {s.calibration_seed}" if s.calibration_seed is not None else "",
    "kept": lambda s: f"{s.fp32_kept} kept in fp32" if s.fp32_kept is not None else "",
}


class Labels:
    """Names for the panels and series of one run.

    A condition (boundary, device, data set, allocator, calibration, ...) is named only when it varies, so
    that two trials never share a name unless they are the same, and a plain run has plain names.
    """

    def __init__(self, scores: Sequence[Score]) -> None:
        asked = {question(s) for s in scores}
        self._boundaries = len({q.boundary for q in asked}) > 1
        self._devices = len({q.device for q in asked}) > 1
        self._counts = len({(q.devices, q.nodes) for q in asked}) > 1
        self._datasets = len({(q.model, q.dataset) for q in asked}) > len({q.model for q in asked})
        self._allocators = len({s.allocator for s in scores}) > 1
        self._threads = len({t for s in scores if (t := threads_that_matter(s))}) > 1
        self._several_gpus = len({q.device for q in asked if q.device.startswith("cuda")}) > 1
        self._calibrations = [what for what, name in _CALIBRATIONS.items() if _varies(name, scores)]

    def panel(self, score: Score | Question) -> str:
        """What may be compared: 'resnet50', or 'resnet50, device boundary, 2 GPUs'."""
        parts = [score.model]
        if self._datasets:
            parts.append(score.dataset)
        if self._boundaries:
            parts.append(f"{score.boundary} boundary")
        if self._counts:
            parts.append(self.devices(score))
        elif self._devices:
            parts.append(self._device(score))
        if self._counts and score.nodes > 1:
            parts.append(f"{score.nodes} nodes")
        return ", ".join(parts)

    def devices(self, score: Score | Question) -> str:
        """How many devices, as people say it: '1 GPU', '2 GPUs', 'CPU', 'CPU in 2 parts'."""
        kind = device_kind(score.device)
        if kind == "cpu":
            return f"CPU in {score.devices} parts" if score.devices > 1 else "CPU"
        count = f"{score.devices} {'GPU' if kind == 'cuda' else kind}{'s' if score.devices > 1 else ''}"
        return f"{count} from {device_index(score.device)}" if self._several_gpus else count

    def _device(self, score: Score | Question) -> str:
        """'CPU', 'GPU', or 'GPU 1' where trials ran on several."""
        if device_kind(score.device) == "cpu":
            return "CPU"
        return f"GPU {device_index(score.device)}" if self._several_gpus else "GPU"

    def engine(self, score: Score) -> str:
        """The engine with its options and the process settings that differ."""
        extra = []
        if self._allocators and score.allocator != "default":
            extra.append(f"malloc {score.allocator}")
        if self._threads and (threads := threads_that_matter(score)):
            extra.append(f"{threads} thread{'' if threads == 1 else 's'}")
        return " ".join([score.engine, *([f"[{', '.join(extra)}]"] if extra else [])])

    def series(self, score: Score) -> str:
        """One configuration whatever its batch size: 'openvino bf16'."""
        calibration = self.calibration(score)
        return f"{self.engine(score)} {score.precision}{f' ({calibration})' if calibration else ''}"

    def calibration(self, score: Score, besides: Collection[str] = ()) -> str:
        """What sets a trial's calibration apart from the run's others: 'minmax, 125 images', or nothing.

        Without what is named in `besides`: method, images, batch, seed, kept.
        """
        told = (_CALIBRATIONS[what](score) for what in self._calibrations if what not in besides)
        return ", ".join(filter(None, told))


def _varies(name: Callable[[Score], str], scores: Sequence[Score]) -> bool:
    """Whether two INT8 trials that are otherwise alike differ in it."""
    found: dict[tuple[Question, str], set[str]] = {}
    for score in scores:
        if score.precision == Precision.INT8 and score.calibration_method:
            found.setdefault((question(score), score.engine), set()).add(name(score))
    return any(len(names) > 1 for names in found.values())


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, signed: '−0.15'."""
    text = f"{100 * fraction:+.2f}".replace("-", "−")
    return "0.00" if text in ("+0.00", "−0.00") else text


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once, in order of first appearance."""
    return list(dict.fromkeys(names))
