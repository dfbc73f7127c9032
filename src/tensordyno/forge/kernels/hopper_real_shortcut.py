"""A residual block's shortcut and last convolution on Hopper, in one, of fp16 or bf16 (gluon_shortcut.py)."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

from tensordyno.forge.graph import Array
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution import clamp_kind, typed
from tensordyno.forge.kernels.convolution_weights import epilogue_of
from tensordyno.forge.kernels.hopper_convolution import MULTIPROCESSORS
from tensordyno.forge.kernels.hopper_real import WIDTH_BYTES, HopperReal
from tensordyno.forge.kernels.hopper_shortcut import end_launch, ends_block, keeping, single, streaming
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Operation

_ALONE = HopperReal()  # what each of the two would be by itself

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
_DEEPEST_SLICE = 128  # channels, of programs that keep weights


class HopperRealShortcut(Kernel):
    """Two 1 x 1 convolutions of fp16 or bf16 on Hopper, where the second adds what the first makes.

    A choice is one of HopperShortcut. What lies between is rounded as it would be stored; sums are float32.
    """

    name: ClassVar[str] = "hopper_real_shortcut"

    def takes(self, operation: Operation, target: Target) -> bool:
        """See the class; two as HopperReal takes them, without padding, the second by steps of 1."""
        return ends_block(operation) and all(_ALONE.takes(part, target) for part in parts_of(operation))

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Tiles that fit the operation: programs that stay first, where there is enough for them to do."""
        del target
        pixels = batch_size * operation.output.pixels
        if -(-pixels // 128) * (operation.output.channels // 64) < 2 * MULTIPROCESSORS:
            return tuple(dict.fromkeys(single(operation, _NARROW, width=WIDTH_BYTES)))
        found = (
            *islice(keeping(operation, _KEEPING, deepest=_DEEPEST_SLICE, width=WIDTH_BYTES), 5),
            *streaming(operation, _STREAMING, width=WIDTH_BYTES),
            *single(operation, _WIDE, width=WIDTH_BYTES),
        )
        return tuple(dict.fromkeys(found))[:10]

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """As of HopperReal; those of the shortcut are named `shortcut_weight` and `shortcut_bias`."""
        shortcut, expand = parts_of(operation)
        theirs = {f"shortcut_{name}": array for name, array in _ALONE.weights(shortcut).items()}
        return theirs | dict(_ALONE.weights(expand))

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
        parts = parts_of(operation)
        placed: dict[str, Any] = {}
        for prefix in ("shortcut_", ""):
            own = {name: weights[f"{prefix}{name}"] for name in ("weight", "bias")}
            own = {"scale": None, **typed(own, operation.precision)}
            placed |= {f"{prefix}{name}": array for name, array in own.items()}
        return end_launch(
            operation,
            choice,
            batch_size,
            tensors,
            placed,
            map(epilogue_of, parts),
            map(clamp_kind, parts),
            WIDTH_BYTES,
        )


KERNELS = (HopperRealShortcut,)
