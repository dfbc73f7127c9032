"""Q/DQ files of any small network, made by our own writer with the ranges of a few random images."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from tensordyno.models.base import PreparedModel
from tensordyno.quantize.base import Form, QuantizedModel
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.placement import place
from tensordyno.quantize.qdq import write_qdq
from tensordyno.quantize.table_file import FILE_NAME, write_table
from tensordyno.records.calibration import CalibrationTable, LayerFacts, TensorRange


def quantized(model: PreparedModel, folder: Path, images: np.ndarray) -> QuantizedModel:
    """Both forms and the table, as a calibration leaves them; ranges are the extremes over `images`."""
    graph = open_graph(model.onnx)
    placement = place(graph)
    seen = extremes(graph, placement.tensors, images)
    ranges = {}
    for group in placement.groups:
        low, high = min(seen[name][0] for name in group), max(seen[name][1] for name in group)
        ranges |= dict.fromkeys(group, TensorRange(threshold=max(-low, high), low=low, high=high))
    folder.mkdir(parents=True, exist_ok=True)
    for form in Form:
        onnx.save(write_qdq(graph, placement, ranges, form), folder / f"model.{form}.onnx")
    table = CalibrationTable(
        model=model.facts.name,
        model_hash="h",
        data="random",
        data_hash="d",
        images=len(images),
        batch_size=len(images),
        seed=0,
        method="minmax",
        asked_method="minmax",
        ranges=ranges,
        layers=tuple(LayerFacts(name=name, op="Conv", int8=True) for name in placement.layers),
    )
    write_table(table, folder / FILE_NAME)
    return QuantizedModel(folder=folder, table=table)


def extremes(graph, tensors, images) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each tensor of a float32 graph."""
    whole = onnx.ModelProto()
    whole.CopyFrom(graph)
    inner = [name for name in tensors if name not in ("images", "logits")]
    whole.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in inner)
    options = ort.SessionOptions()  # optimised, ONNX Runtime 1.31 may lose an output that it fused away
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [*inner, "logits"]
    values = dict(zip(names, session.run(names, {"images": images}), strict=True)) | {"images": images}
    return {name: (float(values[name].min()), float(values[name].max())) for name in tensors}
