"""Writes a network as one float32 ONNX file that every engine reads."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tensordyno.errors import DataError, MissingPackage
from tensordyno.models.base import BATCH_AXIS
from tensordyno.models.onnx_input import PREPROCESSING, note_preprocessing
from tensordyno.records.model import ModelCard

if TYPE_CHECKING:
    import torch
    from torch import nn

_PROTOBUF_LIMIT_BYTES = 2**31 - 2**20  # a protobuf message ends at 2 GiB; room for the graph itself


def export_onnx(module: "nn.Module", card: ModelCard, path: Path) -> None:
    """Write `module`, in evaluation mode and on the CPU, to `path`.

    The graph maps `images` (N, C, H, W) to `logits` (N, classes) with symbolic N; batch norm is folded
    into the convolutions before it, and weights of more than 2 GiB lie in a second file beside `path`.
    Its preprocessing is noted in the file.
    Raises MissingPackage without onnx and onnxscript, DataError (`export-failed`) when PyTorch cannot
    trace the network.
    """
    import torch

    for package in ("onnx", "onnxscript"):
        _require(package)
    example = torch.zeros((2, *card.input_shape))  # two images: PyTorch would take one for a constant
    weight_bytes = sum(p.numel() * p.element_size() for p in module.parameters())
    with _quiet():
        try:
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim(BATCH_AXIS)},),
                verbose=False,
            )
        except Exception as wrong:  # the exporter has many, and wraps what the network itself raised
            raise _not_exportable(card.name, wrong) from wrong
        assert program is not None
        _forget_origin(program)
        program.model.metadata_props[PREPROCESSING] = note_preprocessing(card.preprocessing)
        program.save(path, external_data=weight_bytes > _PROTOBUF_LIMIT_BYTES)


def _require(package: str) -> None:
    import importlib.util

    if importlib.util.find_spec(package) is None:
        raise MissingPackage(package, "torch")


def _not_exportable(name: str, wrong: BaseException) -> DataError:
    cause = wrong.__cause__ or wrong
    reason = str(cause).strip().partition("\n")[0] or type(cause).__name__
    return DataError(
        "export-failed",
        f"PyTorch cannot write {name} as ONNX: {reason}.",
        "Only torch.export-able networks with a free batch axis can be measured.",
    )


def _forget_origin(program: "torch.onnx.ONNXProgram") -> None:
    """Drop the stack traces that the exporter writes into each node: they hold this machine's paths."""
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks, on missing torchvision operators for one, out of the user's sight."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
