"""Writes a network with Q/DQ, from which every engine reads the same steps.

Both inputs of a sum of branches are rounded, each in steps of its own, and so is its result. ONNX Runtime
has no INT8 convolution with a float32 result, so that without it half the convolutions of a ResNet would
run in float32; OpenVINO fuses convolution, sum and Relu just the same (this is also where NNCF puts its
quantizers), and then leaves the rounding between them out.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tensordyno.errors import DataError
from tensordyno.quantize.averages import as_convolution, is_convolution
from tensordyno.quantize.base import LEVELS, Form, Placement
from tensordyno.quantize.builder import Builder
from tensordyno.quantize.flow import Flow
from tensordyno.quantize.layers import bias_of, channel_axis
from tensordyno.quantize.rectifiers import RECTIFIERS, bounds_in_steps
from tensordyno.quantize.signs import never_negative
from tensordyno.quantize.weights import round_weights
from tensordyno.quantize.wiring import Shape, shapes_of
from tensordyno.records.calibration import TensorRange

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_MIDDLE = 128  # the zero point of UINT8 when a tensor may be negative
_ANY = (0, 255)  # bounds that every step is within
_REMEDY = "Calibrate again, with images like those that the network is for."


def write_qdq(
    model: "ModelProto", placement: Placement, ranges: Mapping[str, TensorRange], form: Form
) -> "ModelProto":
    """The graph of `open_graph` with the placement's layers in INT8.

    Every tensor of the placement is rounded to steps of threshold / 127, weights and biases for each
    output channel (`round_weights`). The forms compute the same numbers; see `Form` for what differs.
    Raises DataError: `bad-range` names a tensor without a range, or with a threshold that is not a number
    above 0; `bad-weights` names a layer with weights that are no numbers.
    """
    return _Writer(model, placement, ranges, form).write()


def step_of(tensor: str, ranges: Mapping[str, TensorRange]) -> np.float32:
    """The step of a tensor, threshold / 127. Raises DataError (`bad-range`)."""
    if tensor not in ranges:
        raise DataError("bad-range", f"The table has no range for the tensor {tensor}.", _REMEDY)
    threshold = ranges[tensor].threshold
    limits = np.finfo(np.float32)
    if not LEVELS * float(limits.tiny) <= threshold <= float(limits.max):  # NaN is not either
        raise DataError("bad-range", f"The tensor {tensor} has the range {threshold}.", _REMEDY)
    return np.float32(threshold / LEVELS)


class _Writer:
    """One graph being written; nodes come in the order of the source."""

    def __init__(
        self, model: "ModelProto", placement: Placement, ranges: Mapping[str, TensorRange], form: Form
    ) -> None:
        self._model = model
        self._form = form
        self._flow = Flow(model.graph, placement.layers)
        self._layers = set(placement.layers)
        self._steps = {name: step_of(name, ranges) for name in placement.tensors}
        self._zeros = _zero_points(model, placement, form)
        self._builder = Builder(model)
        self._integers: dict[str, str] = {}  # tensor -> its steps
        self._rounded: dict[str, str] = {}  # tensor -> its steps as float32 again
        self._pending: dict[str, tuple[int, int]] = {}  # result of a max-pool -> bounds still to be held

    def write(self) -> "ModelProto":
        """All nodes, with Q/DQ behind each result that is rounded."""
        for value in self._model.graph.input:
            self._round(value.name)
        for node in self._model.graph.node:
            if self._is_on_steps(node):
                self._rectify(node)
                continue
            self._write(node)
            for name in node.output:
                self._round(name)
        return self._builder.finish()

    def _write(self, node: "NodeProto") -> None:
        inputs = [self._read(node, name) for name in node.input]
        if node.name in self._layers:
            inputs[1:] = self._weights(node)
        elif self._is_better_convolved(node):
            channels = self._shapes.get(node.input[0], (None, None))[1]
            if isinstance(channels, int):
                as_convolution(node, inputs[0], channels, self._builder)
                return
        self._builder.keep(node, inputs)

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        return shapes_of(self._model)

    def _is_better_convolved(self, node: "NodeProto") -> bool:
        """Whether an average is written as a convolution: with a zero point in the middle its padding is
        wrong in OpenVINO, and ONNX Runtime is slow.
        """
        if node.op_type != "AveragePool" or node.name not in self._flow.int8:
            return False
        return self._zeros[node.input[0]] == _MIDDLE and is_convolution(node)

    def _read(self, node: "NodeProto", name: str) -> str:
        return self._rounded[name] if name in self._rounded and self._flow.reads_rounded(node, name) else name

    def _round(self, name: str) -> None:
        if name in self._steps:
            self._quantize(name, name)
            self._hold(name, self._pending.pop(name, _ANY))
            self._dequantize(name)

    def _quantize(self, value: str, name: str) -> None:
        """Round `value` to the steps of the tensor `name`."""
        grid = self._grid(name)
        self._integers[name] = self._builder.node("QuantizeLinear", [value, *grid], f"{name}_quantized")

    def _dequantize(self, name: str) -> None:
        inputs = [self._integers[name], *self._grid(name)]
        self._rounded[name] = self._builder.node("DequantizeLinear", inputs, f"{name}_rounded")

    def _grid(self, name: str) -> list[str]:
        numbers = {"scale": self._steps[name], "zero_point": self._zeros[name]}
        return [self._builder.scalar(kind, number) for kind, number in numbers.items()]

    def _is_on_steps(self, node: "NodeProto") -> bool:
        """Whether a Relu or Clip is done on the steps: ONNX Runtime fuses none into a UINT8 convolution
        with a zero point of 128, and would run it in float32 with two conversions.
        """
        if self._form is not Form.UINT8 or node.op_type not in RECTIFIERS:
            return False
        name, wiring = node.output[0], self._flow.wiring
        needed = name in wiring.outputs or any(name not in reader.input for reader in wiring.consumers[name])
        return name in self._steps and self._flow.is_from_int8(name) and not needed

    def _rectify(self, node: "NodeProto") -> None:
        """Do a Relu or Clip on the steps of what it reads; behind the max-pool where one follows.

        Holding and taking the largest may change places, and ONNX Runtime's max-pool is twenty times
        faster next to a convolution.
        """
        source, name = node.input[0], node.output[0]
        bounds = bounds_in_steps(node, self._flow.wiring, self._steps[name], _MIDDLE)
        if source in self._integers:
            self._integers[name] = self._integers[source]
        else:
            self._quantize(source, name)
        reader = self._flow.wiring.sole_reader(name)
        if reader is not None and reader.op_type == "MaxPool" and reader.name in self._flow.int8:
            self._pending[reader.output[0]] = bounds
        else:
            self._hold(name, bounds)
        self._dequantize(name)

    def _hold(self, name: str, bounds: tuple[int, int]) -> None:
        """Hold the steps of a tensor between bounds."""
        if bounds != _ANY:
            inputs = [self._builder.scalar("bound", np.uint8(bound)) for bound in bounds]
            self._integers[name] = self._builder.node("Clip", [self._integers[name], *inputs], f"{name}_held")

    def _weights(self, node: "NodeProto") -> list[str]:
        """Names of a layer's rounded weights and bias."""
        wiring, axis, bias = self._flow.wiring, channel_axis(node), bias_of(node)
        weights = wiring.array(node.input[1])
        biases = wiring.array(bias) if bias else None
        if not np.isfinite(weights).all() or (biases is not None and not np.isfinite(biases).all()):
            sentence = f"The layer {node.name} has weights that are no finite numbers."
            raise DataError("bad-weights", sentence, "Export the network again from weights that are sound.")
        done = round_weights(weights, biases, axis, self._steps[node.input[0]])
        names = [self._stored(node.input[1], done.values, done.scale, axis)]
        if done.bias is not None and self._form is Form.INT8:
            values = done.bias.astype(np.float32) * done.bias_scale  # as DequantizeLinear does
            names.append(self._builder.constant(f"{bias}_rounded", values))
        elif done.bias is not None:
            names.append(self._stored(bias, done.bias, done.bias_scale, 0))
        return names

    def _stored(self, name: str, values: NDArray[Any], scale: NDArray[np.float32], axis: int) -> str:
        """Add integers with a scale for each channel; returns the name of what they stand for."""
        grid = [
            self._builder.constant(f"{name}_scale", scale),
            self._builder.constant(f"{name}_zero", np.zeros(len(scale), values.dtype)),
        ]
        integers = self._builder.constant(f"{name}_{values.dtype}", values)
        return self._builder.node("DequantizeLinear", [integers, *grid], f"{name}_rounded", axis=axis)


def _zero_points(model: "ModelProto", placement: Placement, form: Form) -> dict[str, np.int8 | np.uint8]:
    """Tensor to zero point; the members of a group share theirs."""
    if form is Form.INT8:
        return dict.fromkeys(placement.tensors, np.int8(0))
    positive = never_negative(model.graph) if form is Form.RECTIFIED else frozenset()
    return {
        name: np.uint8(0 if positive.issuperset(group) else _MIDDLE)
        for group in placement.groups
        for name in group
    }
