"""Convolutions of int8 on Hopper: which ones, in which tiles, with which numbers (gluon_convolution.py)."""

from collections.abc import Iterator, Mapping
from itertools import product
from math import gcd
from typing import Any, ClassVar

import numpy as np

from tensordyno.forge.graph import Array, Convolution
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution_weights import epilogue_of
from tensordyno.forge.kernels.gluon_convolution import convolution
from tensordyno.forge.kernels.gluon_layout import Shape, Tile
from tensordyno.forge.kernels.gluon_pointwise import pointwise
from tensordyno.forge.kernels.gluon_stream import stream
from tensordyno.forge.kernels.gluon_windows import LONGEST_WINDOW, convolve_windows
from tensordyno.forge.kernels.hopper_programs import (
    SHARED_BYTES,
    grid_and_limit,
    has_room,
    is_small,
    registers_of,
)
from tensordyno.forge.kernels.reference_folded import Epilogue
from tensordyno.forge.program import Format, Operation, View
from tensordyno.vocabulary import Precision

_MOST_PRODUCTS = 2**31 // (127 * 128)  # whose sum int32 always holds
_ACCESS = 16  # bytes

# BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, cached; most likely best first, by timings of ResNet-50
_POINTS = (
    *((128, 64, 64, 4, 2, 0), (128, 64, 128, 4, 2, 0), (256, 64, 64, 8, 4, 0), (128, 128, 128, 4, 3, 0)),
    *((64, 128, 128, 4, 3, 0), (128, 128, 128, 8, 3, 0), (256, 64, 128, 8, 2, 0), (128, 64, 64, 4, 4, 0)),
    *((64, 64, 64, 4, 2, 0), (64, 64, 128, 4, 3, 0)),
)
_WINDOWS = (
    *((128, 128, 128, 4, 3, 0), (256, 64, 64, 8, 4, 0), (128, 256, 128, 8, 4, 0), (256, 128, 128, 8, 4, 0)),
    *((128, 128, 128, 8, 3, 0), (128, 64, 64, 4, 4, 0), (256, 64, 64, 8, 3, 1), (128, 64, 64, 4, 3, 1)),
    *((128, 128, 128, 4, 2, 1), (256, 128, 128, 8, 3, 1), (128, 64, 128, 4, 2, 0), (64, 128, 128, 4, 3, 0)),
    (64, 64, 128, 4, 3, 0),
)
_NARROW = (  # few pixels: many programs, deep pipelines
    *((64, 32, 128, 4, 8, 0), (64, 64, 128, 4, 6, 0), (64, 32, 128, 4, 4, 0), (64, 64, 128, 4, 3, 0)),
    *((64, 64, 64, 4, 6, 0), (128, 64, 128, 4, 4, 0), (64, 128, 128, 4, 4, 0), (64, 64, 64, 4, 2, 0)),
)
# Of programs that stay and keep weights: BLOCK_M, BLOCK_N, warps, stages, programs of a multiprocessor
_KEEPING = (
    *((128, 64, 4, 3, 3), (64, 64, 4, 4, 4), (128, 64, 8, 3, 2), (128, 64, 4, 3, 2), (128, 64, 8, 2, 1)),
    *((64, 64, 4, 3, 6), (128, 64, 4, 2, 4), (64, 64, 4, 3, 2)),
)
_MOST_STAYING = 10  # choices
_MOST_COLUMNS = 16  # tiles of channels of one program
# Of programs that stay and stream: BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, programs of a multiprocessor
_STREAMING = (
    *((128, 64, 128, 4, 3, 3), (64, 64, 128, 4, 3, 4), (128, 64, 256, 4, 2, 2), (64, 128, 128, 4, 3, 3)),
    (64, 64, 256, 4, 2, 3),
)
_LEAST_STREAMED = 256  # channels: of fewer a tile is one slice, and its weights are kept


class HopperConvolution(Kernel):
    """int8 by int8 to int8 on Hopper's matrix units.

    A choice is (BLOCK_M, BLOCK_N, BLOCK_K, warps, stages, columns, programs, cached). With `programs` 0 each
    tile has a program of its own, and pixels of windows that overlap may be `cached`. Else a 1 x 1 kernel has
    so many programs on a multiprocessor, which stay: each keeps the weights of `columns` tiles of channels,
    or with 0 keeps none. Results are those of reference_folded.py, bit for bit.
    """

    name: ClassVar[str] = "hopper_convolution"

    def takes(self, operation: Operation, target: Target) -> bool:
        """See the class; whole 16-byte accesses, channels in and out by 32 and 64."""
        node = operation.node
        if target.interpreted or target.capability[0] != 9 or not isinstance(node, Convolution):
            return False
        out_channels, channels, *_ = node.weight.shape
        return (
            operation.precision is Precision.INT8
            and node.weight_scale is not None
            and node.groups == 1
            and node.dilation == (1, 1)
            and channels % 32 == 0
            and out_channels % 64 == 0
            and node.weight[0].size <= _MOST_PRODUCTS
            and all(_is_wide(view) for view in (*operation.inputs, operation.output))
        )

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Tiles that fit the operation: programs that stay first, where there is enough for them to do."""
        del target
        if is_small(operation, batch_size):
            return tuple(dict.fromkeys(_fitted(operation, (*_NARROW, *_POINTS[:4]))))
        if not is_pointwise(operation):
            return tuple(dict.fromkeys(_fitted(operation, _WINDOWS)))
        staying = tuple(dict.fromkeys((*_keeping(operation), *_streaming(operation))))[:_MOST_STAYING]
        return (*staying, *tuple(dict.fromkeys(_fitted(operation, _POINTS)))[: 4 if staying else None])

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`weight` (out, kernel height, kernel width, in) int8; `scale`, `bias` (out,) float32, folded."""
        node, epilogue = _node(operation), epilogue_of(operation)
        weight = np.ascontiguousarray(node.weight.transpose(0, 2, 3, 1))
        return {"weight": weight, "scale": epilogue.factor, "bias": epilogue.bias}

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
        epilogue = epilogue_of(operation)
        shape, image = shape_of(operation, clamps_of(epilogue)), tensors(operation.inputs[0])
        return convolution_launch(operation, choice, batch_size, shape, epilogue, image, tensors, weights)


def convolution_launch(
    operation: Operation,
    choice: Choice,
    batch_size: int,
    shape: Shape,
    epilogue: Epilogue,
    image: Any,
    tensors: Tensors,
    weights: Mapping[str, Any],
    width: int = 1,
) -> Launch:
    """How an operation is launched as a convolution of `shape` over `image`, its elements `width` bytes wide.

    `weights` are weight, scale and bias, the scale None of real numbers.
    """
    block_m, block_n, block_k, warps, stages, columns, programs, cached = choice
    tile = Tile(
        block_m=block_m,
        block_n=block_n,
        block_k=block_k,
        warps=warps,
        stages=stages,
        columns=max(columns, 1),
        width=width,
        cached=bool(cached),
    )
    output, pixels = tensors(operation.output), batch_size * operation.output.pixels
    grid, limit = grid_and_limit(tile, programs, pixels, operation, output, keeps=columns > 0)
    one_tile = convolve_windows if _is_window(operation) else convolution
    return Launch(
        function=(pointwise if columns else stream) if programs else one_tile,
        grid=(grid,),
        arguments={
            "image": image,
            "weight": weights["weight"],
            "scale": weights["scale"],
            "bias": weights["bias"],
            "residual": tensors(operation.inputs[-1]) if _node(operation).has_residual else output,
            "output": output,
            "pixels": pixels,
            "factor": float(epilogue.residual_factor),
            "low": float(epilogue.low),
            "high": float(epilogue.high),
        },
        constants={"SHAPE": shape, "TILE": tile, **limit},
        num_warps=warps,
    )


def _is_wide(view: View) -> bool:
    """Whether a tensor is int8 that is read and written by whole accesses."""
    whole = view.pitch % _ACCESS == 0 and view.first % _ACCESS == 0
    return view.format is Format.INT8 and view.scale is not None and whole


def _fitted(operation: Operation, tiles: tuple[tuple[int, ...], ...]) -> Iterator[Choice]:
    """Tiles with no more channels in a slice and no more stages than there are."""
    node = _node(operation)
    for block_m, block_n, block_k, warps, stages, cached in tiles:
        if len(node.weight) % block_n or (cached and not _is_window(operation)):
            continue
        part = gcd(block_k, node.weight.shape[1])
        steps = node.weight[0].size // part
        deep = max(2, min(stages * block_k // part, steps, SHARED_BYTES // ((block_m + block_n) * part)))
        yield block_m, block_n, part, warps, deep, 0, 0, cached


def _keeping(operation: Operation) -> Iterator[Choice]:
    """Programs that stay, of a 1 x 1 kernel whose weights fit beside the pixels."""
    if not is_pointwise(operation):
        return
    out_channels, channels, *_ = _node(operation).weight.shape
    for block_m, block_n, warps, most_stages, programs in _KEEPING:
        most = gcd(out_channels // block_n, _MOST_COLUMNS)
        for stages, columns in product(range(most_stages, 1, -1), (16, 8, 4, 2, 1)):
            shared_bytes = (stages * block_m + columns * block_n) * channels
            if columns <= most and _fits(operation, block_m, block_n, warps, shared_bytes, programs):
                yield block_m, block_n, gcd(channels, 512), warps, stages, columns, programs, 0
                break


def _streaming(operation: Operation) -> Iterator[Choice]:
    """Programs that stay, of a 1 x 1 kernel of several slices."""
    out_channels, channels, *_ = _node(operation).weight.shape
    if not is_pointwise(operation) or channels < _LEAST_STREAMED:
        return
    for block_m, block_n, block_k, warps, stages, programs in _STREAMING:
        shared_bytes = stages * (block_m + block_n) * block_k
        fits = _fits(operation, block_m, block_n, warps, shared_bytes, programs)
        if fits and out_channels % block_n == 0 and channels % block_k == 0:
            yield block_m, block_n, block_k, warps, stages, 0, programs, 0


def _is_window(operation: Operation) -> bool:
    """Whether a convolution has more than one tap, and no more than convolve_windows has bits for."""
    return 1 < int(max(_node(operation).weight.shape[2:])) <= LONGEST_WINDOW


def is_pointwise(operation: Operation) -> bool:
    """Whether a convolution has a kernel of 1 x 1 and no padding."""
    node = _node(operation)
    return node.weight.shape[2:] == (1, 1) and not any(node.pads)


def _fits(operation: Operation, m: int, n: int, warps: int, shared_bytes: int, programs: int) -> bool:
    """Whether a multiprocessor has room for so many programs with tiles of m by n.

    A thread holds its sums, the factors of its channels, and the residual of this tile and the next; it needs
    some 20 registers besides.
    """
    sums = m * n // (32 * warps)
    registers = sums + n // 4 + 20
    if _node(operation).has_residual:
        registers += sums // 2 + n // 4
    return has_room(shared_bytes, programs) and registers <= registers_of(programs * warps)


def shape_of(operation: Operation, clamps: int) -> Shape:
    """What kernels are compiled for, of a convolution with those `Shape.clamps`."""
    node, image, output = _node(operation), operation.inputs[0], operation.output
    return Shape(
        height=image.height,
        width=image.width,
        channels=image.channels,
        pitch=image.pitch,
        out_height=output.height,
        out_width=output.width,
        out_channels=output.channels,
        out_pitch=output.pitch,
        kernel_h=node.weight.shape[2],
        kernel_w=node.weight.shape[3],
        stride_h=node.stride[0],
        stride_w=node.stride[1],
        pad_top=node.pads[0],
        pad_left=node.pads[1],
        is_padded=any(node.pads),
        residual_pitch=operation.inputs[1].pitch if node.has_residual else 0,
        clamps=clamps,
    )


def clamps_of(epilogue: Epilogue) -> int:
    """Whether results are clamped at all, at 0, or anywhere: int8 ends at -128 and 127 by itself."""
    if epilogue.high < 127 or not (epilogue.low <= -128 or epilogue.low == 0):
        return 2
    return int(epilogue.low == 0)


def _node(operation: Operation) -> Convolution:
    assert isinstance(operation.node, Convolution)
    return operation.node


KERNELS = (HopperConvolution,)
