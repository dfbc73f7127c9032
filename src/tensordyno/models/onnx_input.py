"""What an ONNX file says, or has to be told, of its images: the order of their axes, preprocessing."""

from typing import TYPE_CHECKING

import msgspec

from tensordyno.errors import DataError
from tensordyno.records.model import Preprocessing

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

PREPROCESSING = "tensordyno.preprocessing"  # key among the file's metadata
_INNER = "images_nhwc"
_CHANNELS = (1, 3)


def layout_of(shape: list[int | str]) -> str:
    """`nhwc` for an input whose last axis alone can be channels, and the two before it sides, else `nchw`."""
    sides = [side for side in shape[1:3] if isinstance(side, int) and side > max(_CHANNELS)]
    return "nhwc" if len(shape) == 4 and len(sides) == 2 and shape[3] in _CHANNELS else "nchw"


def feed_nchw(graph: "GraphProto") -> None:
    """Let a graph that reads `images` as (N, H, W, C) take them as (N, C, H, W): through a transpose."""
    from onnx import helper

    _read_inner(graph)
    graph.node.insert(0, helper.make_node("Transpose", ["images"], [_INNER], _INNER, perm=[0, 2, 3, 1]))


def note_preprocessing(preprocessing: Preprocessing) -> str:
    """The text under `PREPROCESSING` in a file that we write; its input is always (N, C, H, W)."""
    return msgspec.json.encode(msgspec.structs.replace(preprocessing, layout="nchw")).decode()


def noted_preprocessing(model: "ModelProto") -> Preprocessing | None:
    """What `note_preprocessing` put into the file's metadata; None for a file that others wrote.

    Raises DataError (`broken-onnx`) for a note that is not ours.
    """
    notes = [entry.value for entry in model.metadata_props if entry.key == PREPROCESSING]
    try:
        return msgspec.json.decode(notes[0], type=Preprocessing) if notes else None
    except msgspec.DecodeError as wrong:
        raise DataError(
            "broken-onnx",
            f"The file's note {PREPROCESSING} cannot be read: {wrong}.",
            "Remove it from the file's metadata, and give --preprocess.",
        ) from wrong


def _read_inner(graph: "GraphProto") -> None:
    for node in graph.node:
        node.input[:] = [_INNER if name == "images" else name for name in node.input]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _read_inner(attribute.g)
