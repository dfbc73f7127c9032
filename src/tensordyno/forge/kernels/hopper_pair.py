"""A 3 x 3 and a 1 x 1 convolution of int8 on Hopper as one kernel: which, in which tiles (gluon_pair.py)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tensordyno.forge.graph import Array, Convolution, Fused
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution_weights import epilogue_of
from tensordyno.forge.kernels.gluon_layout import ACCESS, Tile
from tensordyno.forge.kernels.gluon_pair import pair
from tensordyno.forge.kernels.hopper_convolution import HopperConvolution, clamps_of, is_pointwise, shape_of
from tensordyno.forge.kernels.hopper_programs import MULTIPROCESSORS, multiprocessors_of, registers_of
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Operation

_LONGEST_SLICE = 128  # channels, of the second product: bytes of a swizzled row
_STRIDES = ((1, 1), (2, 2))
# By channels of the window: BLOCK_M, BLOCK_N, BLOCK_K, slices, warps, stages, slots, keeps, early, behind,
# programs; most likely best first
_WIDE = {
    64: (
        *((128, 64, 64, 3, 8, 2, 4, 1, 4, 0, 2), (128, 64, 64, 3, 4, 2, 4, 1, 4, 0, 2)),
        *((128, 64, 64, 1, 8, 6, 4, 1, 2, 1, 2), (128, 64, 64, 1, 4, 6, 4, 1, 4, 1, 2)),
        *((128, 64, 64, 3, 8, 2, 4, 1, 2, 0, 2), (256, 64, 64, 3, 16, 3, 4, 1, 2, 1, 1)),
        *((256, 64, 64, 3, 8, 3, 4, 1, 2, 1, 1), (64, 64, 64, 1, 4, 4, 4, 1, 2, 0, 3)),
    ),
    128: (
        *((256, 64, 64, 1, 16, 4, 8, 0, 2, 0, 1), (256, 64, 64, 1, 8, 4, 8, 0, 2, 1, 1)),
        *((256, 64, 128, 1, 8, 3, 4, 0, 2, 1, 1), (256, 64, 128, 1, 8, 2, 8, 0, 2, 0, 1)),
        *((256, 64, 64, 1, 8, 4, 8, 0, 1, 0, 1), (128, 64, 64, 1, 4, 4, 2, 0, 2, 0, 2)),
        (128, 64, 128, 1, 4, 2, 2, 0, 2, 0, 2),
    ),
    256: (
        *((128, 64, 128, 1, 8, 3, 2, 0, 2, 1, 1), (128, 64, 128, 1, 8, 3, 2, 0, 4, 0, 1)),
        *((128, 64, 64, 1, 8, 6, 2, 0, 2, 1, 1), (128, 64, 64, 2, 8, 3, 2, 0, 2, 1, 1)),
        *((64, 64, 64, 1, 4, 3, 2, 0, 2, 0, 2), (128, 128, 128, 1, 8, 2, 2, 0, 1, 0, 1)),
    ),
}
_NARROW = {  # few pixels: small tiles, deep pipelines
    64: (
        *((64, 64, 64, 3, 4, 3, 4, 0, 4, 0, 1), (64, 64, 64, 1, 4, 9, 4, 0, 4, 1, 1)),
        *((64, 64, 64, 1, 4, 4, 4, 0, 2, 0, 2), (64, 64, 64, 3, 4, 2, 4, 1, 4, 0, 2)),
        *((128, 64, 64, 3, 8, 3, 4, 0, 2, 1, 1), (128, 64, 64, 1, 4, 4, 4, 0, 2, 0, 2)),
    ),
    128: (
        *((64, 64, 128, 1, 4, 6, 4, 0, 4, 1, 1), (64, 64, 128, 1, 4, 4, 8, 0, 4, 1, 1)),
        *((64, 64, 64, 1, 4, 8, 8, 0, 4, 1, 1), (64, 64, 128, 1, 4, 3, 2, 0, 2, 0, 2)),
        *((128, 64, 128, 1, 8, 4, 2, 0, 2, 1, 1), (128, 64, 64, 1, 8, 4, 8, 0, 2, 1, 1)),
    ),
    256: (
        *((64, 64, 128, 1, 4, 3, 4, 0, 2, 1, 1), (64, 64, 64, 1, 4, 6, 2, 0, 2, 1, 1)),
        *((128, 64, 128, 1, 8, 3, 2, 0, 2, 1, 1), (64, 64, 64, 1, 4, 3, 2, 0, 2, 0, 2)),
        (128, 64, 64, 1, 8, 4, 4, 0, 2, 1, 1),
    ),
}


class HopperPair(Kernel):
    """int8 3 x 3 by steps of 1 or 2, and 1 x 1 behind it with or without residual, by one kernel.

    A choice is (BLOCK_M, BLOCK_N, BLOCK_K, slices, warps, stages, slots, keeps, early, behind, programs): a
    program has all channels of the window in slices of BLOCK_K, so many a step, and those of the 1 x 1 kernel
    in groups of BLOCK_N, of which the weights of `slots` are in shared memory; with `keeps` 1 all weights of
    the window are too. Residuals are asked for `early` groups ahead. With `behind` 1 products run while the
    next step is waited for and a group is finished. So many programs stay on a multiprocessor. Results are
    those of reference_folded.py for each part, bit for bit.
    """

    name: ClassVar[str] = "hopper_pair"

    def takes(self, operation: Operation, target: Target) -> bool:
        """See the class; 64, 128 or 256 channels in the window, results by 256."""
        if not isinstance(operation.node, Fused) or len(operation.node.parts) != 2:
            return False
        window, expand = parts_of(operation)
        alone = HopperConvolution()
        return (
            alone.takes(window, target)
            and alone.takes(expand, target)
            and _is_window(_node(window))
            and window.inputs[0].channels == window.output.channels
            and is_pointwise(expand)
            and _node(expand).stride == (1, 1)
            and expand.output.channels % 256 == 0
            and _node(expand).inputs[0] == _node(window).output
            and _node(window).output not in _node(expand).inputs[1:]
        )

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Small tiles where there is less than one of 128 pixels for each multiprocessor."""
        del target
        pixels = batch_size * operation.output.pixels
        tables = _NARROW if -(-pixels // 128) < MULTIPROCESSORS else _WIDE
        return tables[operation.inputs[0].channels]

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`window_weight` (3, 3, out, in) and `weight` (out, in) int8, by columns; scales and biases, folded.

        `window_scale`, `window_bias`, `scale` and `bias` are (out,) float32, in the order of channels.
        """
        window, expand = parts_of(operation)
        between, last = epilogue_of(window), epilogue_of(expand)
        taps = _node(window).weight.transpose(2, 3, 0, 1)
        return {
            "window_weight": np.ascontiguousarray(taps[:, :, channels_of_columns(taps.shape[2])]),
            "window_scale": between.factor,
            "window_bias": between.bias,
            "weight": _node(expand).weight[:, :, 0, 0][channels_of_columns(expand.output.channels)],
            "scale": last.factor,
            "bias": last.bias,
        }

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
        block_m, block_n, block_k, slices, warps, stages, slots, keeps, early, behind, programs = choice
        window, expand = parts_of(operation)
        between, last = epilogue_of(window), epilogue_of(expand)
        channels, output = window.output.channels, tensors(operation.output)
        pixels = batch_size * operation.output.pixels
        return Launch(
            function=pair,
            grid=(min(-(-pixels // block_m), programs * multiprocessors_of(output)),),
            arguments={
                "image": tensors(window.inputs[0]),
                **weights,
                "residual": tensors(expand.inputs[1]) if _node(expand).has_residual else output,
                "output": output,
                "pixels": pixels,
                "window_low": float(between.low),
                "window_high": float(between.high),
                "factor": float(last.residual_factor),
                "low": float(last.low),
                "high": float(last.high),
            },
            constants={
                "WINDOW": shape_of(window, clamps_of(between)),
                "EXPAND": shape_of(expand, clamps_of(last)),
                "FIRST": Tile(
                    block_m=block_m,
                    block_n=channels,
                    block_k=block_k,
                    warps=warps,
                    stages=stages,
                ),
                "SECOND": Tile(
                    block_m=block_m,
                    block_n=block_n,
                    block_k=min(channels, _LONGEST_SLICE),
                    warps=warps,
                    stages=slots,
                ),
                "SLICES": slices,
                "KEEPS": bool(keeps),
                "EARLY": early,
                "BEHIND": behind,
                "maxnreg": registers_of(programs * warps),
            },
            num_warps=warps,
        )


def channels_of_columns(count: int) -> Array:
    """(count,) channels that the columns of a product stand for: weight_rows of gluon_convolution.py.

    Runs of 16, four of them in 64 columns, which stay by themselves; `count` is a multiple of 64.
    """
    stretch, column = np.divmod(np.arange(count), 4 * ACCESS)
    channels: Array = stretch * (4 * ACCESS) + column % 8 // 2 * ACCESS + column // 8 * 2 + column % 2
    return channels


def _is_window(node: Convolution) -> bool:
    """Whether it is 3 x 3 around each pixel, or each second one, of one image."""
    around = node.weight.shape[2:] == (3, 3) and node.pads == (1, 1, 1, 1)
    return around and node.stride in _STRIDES and node.weight.shape[0] in _WIDE and not node.has_residual


def _node(operation: Operation) -> Convolution:
    assert isinstance(operation.node, Convolution)
    return operation.node


KERNELS = (HopperPair,)
