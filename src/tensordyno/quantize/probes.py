"""What is added to a graph so that samples and exact extremes leave it, and nothing else.

Every addition is an operation that ONNX Runtime has in its blocked layout (NCHWc), so that no tensor is
rearranged for being watched: a 1x1 convolution with stride and weight 1 takes the grid, GlobalMaxPool the
largest value of each channel, and the same after a convolution with weight -1 the smallest. Multiplying by
1 and -1 is exact, and unlike a pool a convolution lets NaN through.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tensordyno.datasets.base import FloatArray
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.look import Seen, graph_addition
from tensordyno.quantize.sampling import WHOLE, flat_stride, grid_strides, is_planes, kept_of_grid

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

_BLOCK = 16  # channels; ONNX Runtime's blocked layout wants a multiple
NAME = "tensordyno/watch"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Where the numbers of one tensor are in the rows that leave the graph, one row an image.

    `kept` are positions within `sample`, None for all. Without `highs` the sample is the whole tensor;
    without `lows` but with `highs` no value is below 0. `lows` hold the negated smallest values.
    """

    tensor: str
    sample: slice
    kept: NDArray[np.intp] | None = None
    highs: slice | None = None
    lows: slice | None = None


class Probes:
    """The additions for tensors already looked at, for calls of `images` images.

    They come together in one output, `NAME`, (images, width). ONNX Runtime orders nodes by walking back
    from each output, to the newest node first. One output, and probes of early tensors newest: so each
    tensor is watched as soon as it is there, is still in a cache, and is let go. Otherwise all would be
    kept until the end.
    """

    def __init__(self, seen: list[Seen], images: int) -> None:
        self._images = images
        self._count = 0
        self._nodes: list[list[NodeProto]] = []  # tensor by tensor
        self._constants: dict[tuple[Any, ...], TensorProto] = {}
        self._parts: list[str] = []
        self._width = 0
        self.probes = [self._probe(tensor) for tensor in seen]

    def addition(self) -> bytes:
        """The bytes that add the probes to a model; see `graph_addition`."""
        from onnx import TensorProto, helper

        nodes = [node for of_tensor in reversed(self._nodes) for node in of_tensor]
        join = helper.make_node("Concat", self._parts, [NAME], axis=1)
        value = helper.make_tensor_value_info(NAME, TensorProto.FLOAT, None)
        graph = helper.make_graph([*nodes, join], "probes", [], [value], [*self._constants.values()])
        return graph_addition(graph)

    def _probe(self, seen: Seen) -> Probe:
        self._nodes.append([])
        shape, size = seen.per_image, math.prod(seen.per_image)
        if size <= WHOLE:
            return Probe(tensor=seen.name, sample=self._out(seen.name, size))
        if seen.rows == 1 and is_planes(shape):
            return self._planes(seen)
        stride = flat_stride(shape)
        line = self._view(seen.name, (1, -1))
        sample = self._out(self._thinned(line, 1, (stride,)), len(range(0, size, stride)))
        parts = math.gcd(size, 64)  # so that there is something to divide among threads
        return self._extremes(seen, self._view(seen.name, (parts, -1)), parts, sample, None)

    def _planes(self, seen: Seen) -> Probe:
        channels, height, width = seen.shape
        down, right = strides = grid_strides(seen.shape)
        grid = self._thinned(seen.name, channels, strides)
        size = channels * len(range(0, height, down)) * len(range(0, width, right))
        kept = kept_of_grid(seen.shape)
        return self._extremes(seen, seen.name, channels, self._out(grid, size), kept)

    def _extremes(
        self, seen: Seen, view: str, channels: int, sample: slice, kept: NDArray[np.intp] | None
    ) -> Probe:
        highs = self._out(self._node("GlobalMaxPool", view), channels)
        lows = None
        if not seen.floor:
            negated = self._negated(view, channels, planes=kept is not None)
            lows = self._out(self._node("GlobalMaxPool", negated), channels)
        return Probe(tensor=seen.name, sample=sample, kept=kept, highs=highs, lows=lows)

    def _thinned(self, tensor: str, channels: int, strides: tuple[int, ...]) -> str:
        weights = self._constant(np.ones((channels, 1, *(1 for _ in strides)), np.float32))
        return self._node("Conv", tensor, weights, group=channels, strides=strides)

    def _negated(self, tensor: str, channels: int, *, planes: bool) -> str:
        if not planes or channels % _BLOCK:  # not in the blocked layout anyway
            return self._node("Neg", tensor)
        weights = self._constant(np.full((channels, 1, 1, 1), -1.0, np.float32))
        return self._node("Conv", tensor, weights, group=channels)

    def _view(self, tensor: str, axes: tuple[int, ...]) -> str:
        return self._node("Reshape", tensor, self._constant(np.array((self._images, *axes), np.int64)))

    def _out(self, tensor: str, width: int) -> slice:
        self._parts.append(self._view(tensor, (-1,)))
        self._width += width
        return slice(self._width - width, self._width)

    def _node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        self._count += 1
        name = f"{NAME}/{operation}/{self._count}"
        self._nodes[-1].append(helper.make_node(operation, inputs, [name], name=name, **attributes))
        return name

    def _constant(self, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        key = (value.dtype.str, value.shape, value.tobytes())  # many tensors share their constants
        if key not in self._constants:
            name = f"{NAME}/constant/{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(value, name)
        return self._constants[key].name


def cover(histogram: Histogram, probe: Probe, rows: FloatArray) -> None:
    """Take the exact extremes of these images into the tensor's histogram; raises DataError (`bad-range`)."""
    if probe.highs is None:  # the sample is everything
        everything = rows[:, probe.sample]
        low, high = float(everything.min()), float(everything.max())
    else:
        high = float(rows[:, probe.highs].max())
        low = 0.0 if probe.lows is None else 0.0 - float(rows[:, probe.lows].max())
    histogram.cover(low, high, probe.tensor)


def count(histogram: Histogram, probe: Probe, rows: FloatArray) -> None:
    """Count the tensor's sample of these images; raises DataError (`bad-range`)."""
    sample = rows[:, probe.sample]
    histogram.add(sample if probe.kept is None else sample[:, probe.kept], probe.tensor)
