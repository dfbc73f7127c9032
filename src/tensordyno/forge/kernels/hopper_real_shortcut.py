"""A residual block's shortcut and last convolution on Hopper, in one, of fp16 or bf16 (gluon_shortcut.py)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution import clamp_kind, typed
from tensordyno.forge.kernels.hopper_real import WIDTH_BYTES, HopperReal
from tensordyno.forge.kernels.hopper_shortcut import HopperShortcut, Tables, end_launch
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Operation

# Of programs that stay and keep weights: BLOCK_M, BLOCK_N, warps, stages, programs, behind
_KEEPING = (
    *((128, 64, 8, 2, 2, 0), (64, 64, 4, 2, 3, 0), (64, 64, 4, 3, 2, 1), (64, 64, 4, 2, 4, 0)),
    *((128, 128, 8, 3, 1, 1), (64, 64, 4, 2, 3, 1)),
)
# Of programs that stay and stream: BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, programs, behind
_STREAMING = (
    *((128, 128, 64, 8, 3, 2, 0), (128, 256, 64, 8, 4, 1, 1), (256, 128, 64, 8, 4, 1, 1)),
    *((128, 128, 64, 8, 3, 2, 1), (128, 128, 64, 4, 3, 2, 1), (128, 64, 64, 4, 3, 3, 0)),
    (128, 64, 64, 8, 4, 2, 1),
)
# Of programs of one tile: BLOCK_M, BLOCK_N, BLOCK_K, warps, stages
_WIDE = ((128, 128, 64, 8, 3), (128, 64, 64, 4, 4), (64, 128, 64, 4, 4))
_NARROW = (  # few pixels: many programs, deep pipelines
    *((64, 32, 64, 4, 8), (64, 32, 128, 4, 6), (64, 64, 64, 4, 6), (64, 64, 128, 4, 4)),
    *((64, 32, 64, 4, 4), (64, 64, 64, 4, 3), (128, 64, 64, 4, 4), (128, 64, 64, 8, 4)),
    (64, 128, 64, 4, 4),
)


class HopperRealShortcut(HopperShortcut):
    """Two 1 x 1 convolutions of fp16 or bf16 on Hopper, where the second adds what the first makes.

    A choice is one of HopperShortcut. What lies between is rounded as it would be stored; sums are float32.
    """

    name: ClassVar[str] = "hopper_real_shortcut"
    alone: ClassVar[Kernel] = HopperReal()
    tables: ClassVar[Tables] = Tables(_KEEPING, _STREAMING, _WIDE, _NARROW, WIDTH_BYTES)

    def launch(
        self,
        operation: Operation,
        choice: Choice,
        batch_size: int,
        tensors: Tensors,
        weights: Mapping[str, Any],
        target: Target,
        scratch: Any = None,
    ) -> Launch:
        """One launch; `scratch` is not needed."""
        del target, scratch
        placed: dict[str, Any] = {}
        for prefix in ("shortcut_", ""):
            own = {name: weights[f"{prefix}{name}"] for name in ("weight", "bias")}
            own = {"scale": None, **typed(own, operation.precision)}
            placed |= {f"{prefix}{name}": array for name, array in own.items()}
        clamps = map(clamp_kind, parts_of(operation))
        return end_launch(operation, choice, batch_size, tensors, placed, clamps, WIDTH_BYTES)


KERNELS = (HopperRealShortcut,)
