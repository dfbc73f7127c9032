"""The way from images to a calibration table: observe, choose a method, rank layers, keep some in FP32."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from tensordyno.clock import RealClock
from tensordyno.datasets.base import FloatArray
from tensordyno.quantize import cache
from tensordyno.quantize.base import Placement
from tensordyno.quantize.choose import choose
from tensordyno.quantize.doubts import drop_above_bound, few_images, zero_ranges
from tensordyno.quantize.held_back import HeldBack
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.images import CalibrationImages, Reader, Slice
from tensordyno.quantize.keep import keep_until
from tensordyno.quantize.methods.base import AUTO, method
from tensordyno.quantize.observe import observe
from tensordyno.quantize.placement import place
from tensordyno.quantize.ranges import merged, ranges_of
from tensordyno.quantize.sensitivity import rank
from tensordyno.records.calibration import Calibration, CalibrationTable, LayerFacts, MethodScore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import ModelProto


class Study:
    """One network, the images of one calibration, and what is asked of them. Nothing is run before need."""

    def __init__(
        self,
        graph: "ModelProto",
        graph_key: str,
        images: CalibrationImages,
        calibration: Calibration,
        *,
        root: Path,
        threads: int,
        progress: Callable[[str, int, int], None],
    ) -> None:
        self._graph = graph
        self._graph_key = graph_key
        self._images = images
        self._asked = calibration
        self._root = root
        self._threads = threads
        self._progress = progress
        self._seconds = 0.0
        self._tensors = place(graph).tensors  # whatever stays in FP32 later needs no others
        self._place = partial(
            place, graph, first_layer=calibration.first_layer, last_layer=calibration.last_layer
        )

    def carry_out(self, model: str, *, sensitivity: bool) -> tuple[CalibrationTable, Placement]:
        """The table, and the placement that it is for. With `sensitivity` the layers are ranked anyway."""
        asked, histograms = self._asked, self._histograms  # all images are run before any is judged by
        tried = self._compare() if asked.method == AUTO else ()
        name = tried[0].method if tried else asked.method
        ranking = self._rank(name) if sensitivity or asked.keep_fp32 else {}
        kept, warnings = self._keep(tuple(ranking), name) if asked.keep_fp32 else ((), ())
        placement = self._place(kept)
        table = CalibrationTable(
            model=model,
            model_hash=self._graph_key,
            data=self._images.name,
            data_hash=self._images.content_hash,
            images=self._images.count,
            batch_size=asked.batch_size,
            seed=asked.seed,
            method=name,
            asked_method=asked.method,
            ranges=ranges_of(placement, histograms, method(name)),
            layers=self._layers(placement, ranking),
            other_fp32=placement.other_fp32,
            tried=tried,
            seconds=self._seconds,
            warnings=(
                *few_images(self._images.count),
                *zero_ranges(self._tensors, histograms),
                *warnings,
            ),
        )
        return table, placement

    def _compare(self) -> tuple[MethodScore, ...]:
        return choose(self._court, self._place(), partial(self._progress, "comparing methods"))

    def _rank(self, name: str) -> dict[str, float]:
        return rank(
            self._court,
            self._place().layers,
            lambda layer: place(self._graph, only=(layer,)),
            method(name),
            partial(self._progress, "ranking layers"),
        )

    def _keep(self, ranking: tuple[str, ...], name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The layers that stay in FP32, and a warning when even they are not enough."""
        wanted = self._asked.keep_fp32
        if wanted != "auto":
            return ranking[:wanted], ()
        threshold, bound = method(name), self._asked.max_drop
        kept = keep_until(
            ranking,
            bound,
            lambda layers: self._court.judge(self._place(layers), threshold),
            partial(self._progress, "keeping layers"),
        )
        return kept.layers, drop_above_bound(kept, bound, len(ranking), self._court.images)

    def _layers(self, placement: Placement, ranking: Mapping[str, float]) -> tuple[LayerFacts, ...]:
        named = {*placement.layers, *placement.kept}
        return tuple(
            LayerFacts(
                name=node.name,
                op=node.op_type,
                int8=node.name not in placement.kept,
                reason=placement.kept.get(node.name, ""),
                sqnr_db=ranking.get(node.name),
            )
            for node in self._graph.graph.node
            if node.name in named
        )

    @cached_property
    def _court(self) -> HeldBack:
        return HeldBack(self._graph, self._rest, self._held, self._threads)

    @cached_property
    def _histograms(self) -> dict[str, Histogram]:
        """Of all images."""
        return merged(self._rest, self._observed("held back", lambda: [self._held.images]))

    @cached_property
    def _rest(self) -> dict[str, Histogram]:
        """Of all images but the held-back ones."""
        return self._observed("rest", self._reader.rest)

    @cached_property
    def _reader(self) -> Reader:
        return self._images.read()

    @cached_property
    def _held(self) -> Slice:
        return self._reader.held_back()

    def _observed(self, part: str, batches: "Callable[[], Iterable[FloatArray]]") -> dict[str, Histogram]:
        """Histograms of one part of the images, from an earlier calibration if there was one."""
        before = self._images.count - self._images.held_back if part == "held back" else 0

        def run(tensors: list[str]) -> dict[str, Histogram]:
            start_s = RealClock().now()
            found = observe(
                self._graph,
                tensors,
                batches(),
                self._threads,
                lambda done: self._progress("calibrating", before + done, self._images.count),
            )
            self._seconds += RealClock().now() - start_s
            return found

        key = cache.key_of(self._graph_key, self._images.key, part)
        return cache.histograms(self._root, key, self._tensors, run)[0]
