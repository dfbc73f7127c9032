"""Relu and Clip: between which bounds they hold a tensor, as numbers and as steps."""

from typing import TYPE_CHECKING

import numpy as np

from tensordyno.quantize.wiring import Wiring

if TYPE_CHECKING:
    from onnx import NodeProto

RECTIFIERS = ("Relu", "Clip")


def bounds_of(node: "NodeProto", wiring: Wiring) -> tuple[float, float]:
    """Least and greatest value that a Relu or Clip lets through; what is computed counts as no bound."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    given = [name if name and wiring.is_constant(name) else "" for name in (*node.input[1:], "", "")]
    low, high = (float(wiring.array(name)) if name else None for name in given[:2])
    return (-np.inf if low is None else low), (np.inf if high is None else high)


def bounds_in_steps(node: "NodeProto", wiring: Wiring, step: np.float32, zero: int) -> tuple[int, int]:
    """The bounds as UINT8: rounding and then holding between these is holding between those and then
    rounding, because rounding keeps the order.
    """
    steps = (np.rint(np.float32(bound) / step) + zero for bound in bounds_of(node, wiring))
    low, high = (int(np.clip(bound, 0, 255)) for bound in steps)
    return low, high
