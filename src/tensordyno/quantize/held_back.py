"""The court: placements and thresholds from most of the images, judged on those that were held back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tensordyno.errors import DataError
from tensordyno.quantize.base import Form, Placement
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.images import Slice
from tensordyno.quantize.qdq import write_qdq
from tensordyno.quantize.ranges import Threshold, ranges_of
from tensordyno.quantize.score import Judgement, judge, logits_of

if TYPE_CHECKING:
    from onnx import ModelProto


class HeldBack:
    """A FP32 graph, histograms of its tensors on the other images, and the images that judge.

    Raises DataError (`too-few-to-compare`) when there are no such images.
    """

    def __init__(
        self, graph: "ModelProto", histograms: Mapping[str, Histogram], held: Slice, threads: int
    ) -> None:
        if not len(held.images):
            raise DataError(
                "too-few-to-compare",
                "One calibration image cannot be divided into some to calibrate on and some to judge by.",
                "Give hundreds; or name one method, and rank or keep no layers.",
            )
        self.graph = graph
        self._histograms = histograms
        self._held = held
        self._threads = threads
        self._reference = logits_of(graph, held.images, threads)

    @property
    def images(self) -> int:
        """How many images judge."""
        return len(self._held.images)

    def judge(self, placement: Placement, threshold: Threshold, most: int | None = None) -> Judgement:
        """The placement with ranges by that method, on the first `most` held-back images; None: on all."""
        ranges = ranges_of(placement, self._histograms, threshold)
        model = write_qdq(self.graph, placement, ranges, Form.UINT8)
        labels = self._held.labels
        return judge(
            model,
            self._reference[:most],
            self._held.images[:most],
            None if labels is None else labels[:most],
            self._threads,
        )
