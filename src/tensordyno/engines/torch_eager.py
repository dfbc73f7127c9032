"""PyTorch as it comes: eager operations, one after the other."""

from typing import Literal, cast

from tensordyno.engines.base import EngineOptions, EngineSetup, FloatArray
from tensordyno.engines.out_of_memory import memory_errors
from tensordyno.engines.torch_engine import CHANNELS_LAST, CONTIGUOUS, TorchEngine
from tensordyno.engines.torch_step import torch_step
from tensordyno.units import with_unit

NAME = "torch"

_VISITS = 2  # of each layout, alternating: a slow spell of the machine then hits both
_RUNS = 5  # timed in a visit, after one that is not
_ENOUGH_S = 2.0  # no second visit when the first ones took this long


class TorchOptions(EngineOptions, frozen=True, kw_only=True):
    """`layout` of activations and weights; "auto" measures both and keeps the faster."""

    layout: Literal["auto", "channels-last", "contiguous"] = "auto"


class TorchEager(TorchEngine):
    """Runs the module's own forward under inference mode."""

    name = NAME
    summary = "PyTorch, eager; the faster memory layout is found by measuring"
    Options = TorchOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self._asked = cast(TorchOptions, options).layout
        self._times_s: dict[str, float] = {}

    @memory_errors()
    def compile(self, example: FloatArray) -> None:
        """Decide the layout; there is nothing else to compile. Raises MemoryError."""
        self.network = self.module
        layout = self._faster(example) if self._asked == "auto" else self._asked
        self.lay_out(layout)

    def choices(self) -> dict[str, str]:
        """The layout, and the best host-to-host time of one batch in either."""
        if not self._times_s:
            return {"layout": f"{self.layout} (asked for)"}
        times = ", ".join(f"{layout} {with_unit(t, 's')}" for layout, t in self._times_s.items())
        return {"layout": f"{self.layout} (best of a batch: {times})"}

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
        """Best host-to-host time of one batch in seconds; at least one run, fewer for slow networks."""
        assert self.network is not None
        self.lay_out(layout)
        step = torch_step(self.network, example, self.placement(), host=True)
        step.run()
        now, begun_s, best_s = self.setup.clock.now, self.setup.clock.now(), float("inf")
        for _ in range(_RUNS):
            before_s = now()
            step.run()
            best_s = min(best_s, now() - before_s)
            if now() - begun_s > _ENOUGH_S / 4:
                break
        return best_s


MEMBER = TorchEager
