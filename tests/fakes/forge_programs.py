"""Runs a program in NumPy, operation by operation, over one arena laid out by the memory plan.

The arena holds 0xFF at first: NaN in each format of real numbers, so that whoever reads what nobody wrote
shows it in the logits.
"""

from dataclasses import replace

import numpy as np

from tensordyno.forge.graph import Convolution, Fused, Tensor
from tensordyno.forge.kernels.number_formats import rounded
from tensordyno.forge.kernels.reference import compute
from tensordyno.forge.kernels.reference_convolution import real_weight
from tensordyno.forge.kernels.reference_values import Value, store
from tensordyno.forge.memory_plan import memory_plan
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

_STORED = {
    Format.INT8: np.int8,
    Format.UINT8: np.uint8,
    Format.FP16: np.float16,
    Format.BF16: np.uint16,  # the upper half of a float32
    Format.FP32: np.float32,
}
_REAL = {Format.FP16: Precision.FP16, Format.BF16: Precision.BF16, Format.FP32: Precision.FP32}


def run_program(program, images):
    """Logits (n, classes) of images (n, channels, height, width): real, or integers of the input's scale."""
    memory = _Memory(program, len(images))
    if images.dtype.kind == "f":
        image = store(images.astype(np.float32), tensor_of(program.input, images.shape[1:]))
    else:
        image = Value(images, np.float32(program.input.scale))
    memory.write(program.input, image)
    for operation in program.operations:
        inputs = [memory.read(view) for view in operation.inputs]
        memory.write(operation.output, _computed(operation, inputs))
    logits = memory.read(program.output)
    assert program.output.format is Format.FP32
    return logits.real.reshape(len(images), -1)


def _computed(operation, inputs):
    """What an operation makes; of fused ones each part's result is rounded as it would be stored."""
    node = operation.node
    if isinstance(node, Fused):
        made = dict(zip(node.inputs, inputs, strict=True))
        for part in parts_of(operation):
            value = _computed(part, [made[name] for name in part.node.inputs])
            stored = (
                Value(rounded(value.numbers, _REAL[part.output.format])) if value.scale is None else value
            )
            made[part.node.output] = stored
        return made[node.output]
    if isinstance(node, Convolution) and operation.precision is not Precision.INT8:
        weight = rounded(real_weight(node), operation.precision)
        node = replace(node, weight=weight, weight_scale=None)
        inputs = [Value(rounded(inputs[0].real, operation.precision)), *inputs[1:]]
    return compute(node, inputs, tensor_of(operation.output))


def tensor_of(view, shape=None):
    """What a view holds, as the reference asks for it; features are images of one pixel."""
    shape = shape or (view.channels, view.height, view.width)
    return Tensor(view.storage, shape, view.scale, view.format is Format.UINT8)


class _Memory:
    """The arena, through views as kernels see it: a pointer, a pitch and a number of channels."""

    def __init__(self, program, batch_size):
        self._plan = memory_plan(program, batch_size)
        self._arena = np.full(self._plan.arena_bytes, 0xFF, np.uint8)
        self._batch_size = batch_size

    def read(self, view):
        stored = self._pixels(view).reshape(self._batch_size, view.height, view.width, view.channels)
        numbers = np.ascontiguousarray(stored.transpose(0, 3, 1, 2))
        if view.scale is not None:
            return Value(numbers, np.float32(view.scale))
        if view.format is Format.BF16:
            return Value((numbers.astype(np.uint32) << 16).view(np.float32))
        return Value(numbers.astype(np.float32))

    def write(self, view, value):
        numbers = value.numbers.reshape(self._batch_size, view.channels, view.height, view.width)
        if view.format is Format.BF16:
            numbers = (rounded(numbers, Precision.BF16).view(np.uint32) >> 16).astype(np.uint16)
        assert (value.scale is None) is (view.scale is None)
        pixels = self._pixels(view)
        pixels[...] = numbers.transpose(0, 2, 3, 1).reshape(pixels.shape)

    def _pixels(self, view):
        """(batch * pixels, channels) of the arena itself."""
        kind = np.dtype(_STORED[view.format])
        flat = self._arena[self._plan.offsets[view.storage] :]
        flat = flat[: len(flat) // kind.itemsize * kind.itemsize].view(kind)[view.first :]
        count = self._batch_size * view.pixels
        assert (count - 1) * view.pitch + view.channels <= len(flat)
        strides = (view.pitch * kind.itemsize, kind.itemsize)
        return np.lib.stride_tricks.as_strided(flat, (count, view.channels), strides)
