"""Decides which operations of a network run in INT8, and which tensors need a range for that.

Layers (Conv, Gemm, MatMul with constant weights) are in INT8 unless asked otherwise. What lies between
them passes INT8 on where all it reads is INT8 and somebody wants the result in INT8, so that no float32
island costs two conversions; everything else stays float32.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from tensordyno.errors import DataError, UnknownName
from tensordyno.quantize.base import Placement
from tensordyno.quantize.flow import Flow
from tensordyno.quantize.layers import has_weights, obstacle
from tensordyno.quantize.wiring import Wiring

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def place(
    model: "ModelProto",
    keep: Collection[str] = (),
    *,
    first_layer: bool = True,
    last_layer: bool = True,
    only: Collection[str] | None = None,
) -> Placement:
    """The placement of a graph from `open_graph`.

    `keep` names layers that stay in FP32, `first_layer` and `last_layer` False keep those two; `only`
    names the layers in INT8, all others stay in FP32 (for the sensitivity of a layer).
    Raises UnknownName (`unknown-layer`), DataError (`nothing-to-quantize`).
    """
    wiring = Wiring(model.graph)
    candidates = [node for node in model.graph.node if has_weights(node, wiring)]
    _check_names([*keep, *(only or ())], candidates)
    kept = {}
    for position, node in enumerate(candidates):
        reason = obstacle(node, wiring)
        if not reason and node.name in keep:
            reason = "it was asked for"
        if not reason and only is not None and node.name not in only:
            reason = "another layer is under test"
        if not reason and position == 0 and not first_layer:
            reason = "the first layer was asked to stay"
        if not reason and position == len(candidates) - 1 and not last_layer:
            reason = "the last layer was asked to stay"
        if reason:
            kept[node.name] = reason
    layers = tuple(node.name for node in candidates if node.name not in kept)
    if not layers:
        raise _nothing(kept)
    flow = Flow(model.graph, frozenset(layers))
    return Placement(
        layers=layers,
        groups=flow.groups(),
        repeats=flow.repeats(),
        kept=kept,
        other_fp32=flow.left_in_float32(kept),
    )


def _check_names(names: Collection[str], layers: "list[NodeProto]") -> None:
    known = {node.name for node in layers}
    for name in names:
        if name not in known:
            raise UnknownName("layer", name, known)


def _nothing(kept: dict[str, str]) -> DataError:
    found = "; ".join(f"{name}: {reason}" for name, reason in list(kept.items())[:2])
    sentence = (
        f"No layer of the network is left for INT8 ({found})."
        if kept
        else ("The network has no Conv, Gemm or MatMul with constant weights: there is nothing to quantize.")
    )
    return DataError(
        "nothing-to-quantize", sentence, "Keep fewer layers in FP32, or run it with --precision fp32."
    )
