"""PyTorch as it comes: eager operations, one after the other."""

from typing import Literal, cast

from tensordyno.engines.base import EngineOptions, EngineSetup, FloatArray, Step
from tensordyno.engines.out_of_memory import memory_errors
from tensordyno.engines.torch_cuda import PROBE_BATCH, CudaOptions
from tensordyno.engines.torch_cuda_step import CudaDeviceStep
from tensordyno.engines.torch_engine import CHANNELS_LAST, CONTIGUOUS, TorchEngine
from tensordyno.timing.step import filled
from tensordyno.units import with_unit
from tensordyno.vocabulary import Boundary

NAME = "torch"

_VISITS = 2  # of each layout, alternating: a slow spell of the machine then hits both
_RUNS = 5  # timed in a visit, after one that is not
_ENOUGH_S = 2.0  # no second visit when the first ones took this long


class TorchOptions(CudaOptions, frozen=True, kw_only=True):
    """`layout` of activations and weights; "auto" measures both and keeps the faster.

    `cuda_graph` replays each batch as one CUDA graph, which spares a small batch its hundreds of launches.
    """

    layout: Literal["auto", "channels-last", "contiguous"] = "auto"
    cuda_graph: bool = False


class TorchEager(TorchEngine):
    """Runs the module's own forward under inference mode."""

    name = NAME
    summary = "PyTorch, eager; the faster memory layout is found by measuring"
    Options = TorchOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self._asked = cast(TorchOptions, options).layout
        self.graph = self.on_cuda and cast(TorchOptions, options).cuda_graph
        self._times_s: dict[str, float] = {}

    @memory_errors()
    def compile(self, example: FloatArray) -> None:
        """Decide the layout; there is nothing else to compile. Raises MemoryError."""
        self.network = self.module
        if self._asked != "auto":
            self.lay_out(self._asked)
        elif not self._times_s:  # a resized network keeps its layout
            self.lay_out(self._faster(example))
            self.release()  # the peak of memory is to be this batch's, not the comparison's
        # after the layouts were compared: by heuristics that is ten times as fast
        self.choose_algorithms(min(self._times_s.values(), default=None))

    def choices(self) -> dict[str, str]:
        """The layout, and the best host-to-host time of one batch in either."""
        if not self._times_s:
            return {"layout": f"{self.layout} (asked for)"} | self.device_choices()
        times = ", ".join(f"{layout} {with_unit(t, 's')}" for layout, t in self._times_s.items())
        batch = f"batch of {PROBE_BATCH}" if self.on_cuda else "batch"
        return {"layout": f"{self.layout} (best of a {batch}: {times})"} | self.device_choices()

    def _faster(self, example: FloatArray) -> str:
        begun_s = self.setup.clock.now()
        for _ in range(_VISITS):
            for layout in (CHANNELS_LAST, CONTIGUOUS):
                best_s = min(self._timed(layout, example), self._times_s.get(layout, float("inf")))
                self._times_s[layout] = best_s
            if self.setup.clock.now() - begun_s > _ENOUGH_S:
                break
        return min(self._times_s, key=lambda layout: self._times_s[layout])

    def _timed(self, layout: str, example: FloatArray) -> float:
        """Best time of one batch in seconds; at least one run, fewer for slow networks.

        From host to host on the CPU; on a GPU a batch of 64 on the device, where the bus would hide it.
        """
        self.lay_out(layout)
        step = self._probe(example)
        step.run()
        now, begun_s, best_s = self.setup.clock.now, self.setup.clock.now(), float("inf")
        for _ in range(_RUNS):
            before_s = now()
            step.run()
            best_s = min(best_s, now() - before_s)
            if now() - begun_s > _ENOUGH_S / 4:
                break
        return best_s

    def _probe(self, example: FloatArray) -> Step:
        if not self.on_cuda:
            return self.bind(example, Boundary.HOST)
        images = filled(example, PROBE_BATCH)
        assert self.network is not None
        return CudaDeviceStep(self.network, images, self.placement(), PROBE_BATCH, graph=False)


MEMBER = TorchEager
