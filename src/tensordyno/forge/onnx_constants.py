"""The constants of an ONNX graph: initializers, and what nodes compute from constants and shapes alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tensordyno.forge.onnx_operation import Operation

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

Array = NDArray[Any]

_RANDOM = ("Random", "Multinomial", "Bernoulli")  # the beginnings of what gives other numbers each time
_SHAPES = ("Shape", "Size")  # constant whatever they read


@dataclass(frozen=True)
class Rounded:
    """Constant integers that a DequantizeLinear makes real: `scale * (integers - zero)`.

    `scale` and `zero` have one element, or one for each index of `axis`; of the integers' rank when the
    scale is one for each block.
    """

    integers: Array
    scale: NDArray[np.float32]
    zero: Array
    axis: int

    def along(self, value: Array) -> Array:
        """A scale or zero point in a shape that broadcasts with the integers."""
        if value.size == 1:
            return value.reshape(())
        shape = [1] * self.integers.ndim
        shape[self.axis] = -1
        return value.reshape(shape)

    def values(self) -> NDArray[np.float32]:
        """The real numbers, as ONNX's DequantizeLinear computes them: in float32, one product each."""
        centred = self.integers.astype(np.int64) - self.along(self.zero).astype(np.int64)
        product = centred.astype(np.float32) * self.along(self.scale)
        return np.asarray(product, np.float32)


def static_names(operations: Iterable[Operation], constants: Iterable[str]) -> set[str]:
    """Names of all tensors that depend on no image: constants, and what is computed from them and shapes."""
    known = set(constants)
    for operation in operations:
        if operation.has_graphs or operation.kind.startswith(_RANDOM):
            continue
        if operation.kind in _SHAPES or known.issuperset(filter(None, operation.inputs)):
            known.update(operation.outputs)
    return known


class Constants:
    """Values by name; those of nodes are computed when `fold` meets the node."""

    def __init__(self, model: "ModelProto", opset: int) -> None:
        self._opset = opset
        self._ir_version = model.ir_version
        self._stored: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}
        self._computed: dict[str, Array | Rounded] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._computed or name in self._stored

    def array(self, name: str) -> Array:
        """The numbers of a constant. Raises KeyError."""
        from onnx import numpy_helper

        if name not in self._computed:
            return np.asarray(numpy_helper.to_array(self._stored[name]))
        found = self._computed[name]
        return found.values() if isinstance(found, Rounded) else found

    def rounded(self, name: str) -> Rounded | None:
        """A constant's integers and scale; None when it was not made from integers."""
        found = self._computed.get(name)
        return found if isinstance(found, Rounded) else None

    def put(self, name: str, value: Array) -> None:
        """Note a value that does not come from constants alone (a shape)."""
        self._computed[name] = value

    def fold(self, operation: Operation) -> bool:
        """Compute what a node makes of constants; False if the reference implementation cannot."""
        rounded = self._fold_rounded(operation)
        if rounded is not None:
            self._computed[operation.output] = rounded
            return True
        try:
            found = self._evaluate(operation)
        except Exception:  # the reference raises whatever NumPy does
            return False
        if not all(isinstance(value, np.ndarray | np.generic) for value in found):
            return False
        for name, value in zip(operation.outputs, found, strict=True):
            self._computed[name] = np.asarray(value)
        return True

    def _fold_rounded(self, operation: Operation) -> Rounded | None:
        """Keep integers apart from their scale, through transposes as well."""
        if operation.kind == "DequantizeLinear":
            return self._dequantized(operation)
        source = self.rounded(operation.input(0))
        if source is None:
            return None
        if operation.kind == "Identity":
            return source
        if operation.kind == "Transpose" and source.scale.ndim <= 1:
            order = operation.attributes.get("perm", range(source.integers.ndim)[::-1])
            axis = list(order).index(source.axis) if source.scale.size > 1 else 0
            return replace(source, integers=source.integers.transpose(order), axis=axis)
        return None

    def _dequantized(self, operation: Operation) -> Rounded | None:
        integers = self.array(operation.input(0))
        scale = np.asarray(self.array(operation.input(1)), np.float32)
        if scale.size > 1 and (scale.ndim != 1 or operation.attributes.get("block_size")):
            return None  # blocks: real numbers from here on
        zero = self.array(operation.input(2)) if operation.input(2) else np.zeros(scale.shape, np.int8)
        axis = operation.attributes.get("axis", 1) % integers.ndim if scale.size > 1 else 0
        return Rounded(integers, scale, zero, axis)

    def _evaluate(self, operation: Operation) -> Sequence[Any]:
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        feeds = {name: self.array(name) for name in operation.inputs if name}
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in feeds.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in operation.outputs]
        graph = helper.make_graph([operation.node], "constants", inputs, outputs)
        opsets = [helper.make_opsetid("", self._opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self._ir_version)
        found: Sequence[Any] = ReferenceEvaluator(model).run(None, feeds)
        return found
