"""A network made ready once for all engines, as the files of one folder.

model.onnx           float32 graph, `images` to `logits`, symbolic batch
weights.safetensors  state dict (not for a network that came as ONNX)
reference.npz        `images` and the strict FP32 `logits` they give (of a Q/DQ file: its own, unoptimised)
facts.json           ModelFacts; written last into a folder that gets its name when it is complete
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tensordyno.errors import DataError, StoreError, Unsupported
from tensordyno.models.base import PreparedModel
from tensordyno.models.onnx_input import PREPROCESSING, note_preprocessing
from tensordyno.models.quantized_graph import int8_layers, is_quantized
from tensordyno.models.reference import FloatArray, onnx_logits, torch_logits
from tensordyno.records.model import ModelCard, ModelFacts

if TYPE_CHECKING:
    from torch import nn

    from tensordyno.models.count import Cost
    from tensordyno.models.resolve import Resolved

_ONNX, _WEIGHTS, _REFERENCE, _FACTS = "model.onnx", "weights.safetensors", "reference.npz", "facts.json"


def prepare(resolved: "Resolved", folder: Path, reference_images: FloatArray) -> PreparedModel:
    """Write the network to `folder`, replacing what is there, and return it.

    `reference_images` is float32 (n, C, H, W) in the network's own preprocessing. The files are made in a
    folder beside and renamed at the end, so an interrupted preparation leaves nothing that
    `load_prepared` accepts. Raises StoreError (`cannot-prepare`) when the disk is full or may not be
    written, DataError (`export-failed`), MissingPackage.
    """
    from safetensors import SafetensorError

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _write(resolved, unfinished, reference_images)
            if folder.exists():
                shutil.rmtree(folder)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except (OSError, SafetensorError) as wrong:
        raise StoreError(
            "cannot-prepare",
            f"The prepared model cannot be written to {folder}: {wrong}.",
            "Free some space, or choose another folder with -o.",
        ) from wrong
    return load_prepared(folder)


def load_prepared(folder: Path) -> PreparedModel:
    """The prepared model in `folder`; needs no framework.

    Raises DataError (`not-prepared`) when the folder or one of its files is missing or unreadable.
    """
    try:
        facts = msgspec.json.decode((folder / _FACTS).read_bytes(), type=ModelFacts)
    except (OSError, msgspec.DecodeError) as wrong:
        raise _not_prepared(folder, str(wrong)) from wrong
    for name in (_ONNX, _REFERENCE):
        if not (folder / name).is_file():
            raise _not_prepared(folder, f"{name} is missing")
    weights = folder / _WEIGHTS
    return PreparedModel(
        facts=facts,
        folder=folder,
        onnx=folder / _ONNX,
        weights=weights if weights.is_file() else None,
        reference=folder / _REFERENCE,
    )


def load_module(prepared: PreparedModel) -> "nn.Module":
    """The PyTorch definition with the prepared weights, float32, evaluation mode, on the CPU.

    Raises Unsupported for a network that came as ONNX.
    """
    if prepared.weights is None:
        raise Unsupported(
            f"{prepared.facts.name} came as an ONNX file; this engine needs a PyTorch definition.",
            "Use an engine that reads ONNX, such as onnxruntime or openvino.",
        )
    from safetensors.torch import load_file

    from tensordyno.models.resolve import bare_definition

    module = bare_definition(prepared.facts.name, prepared.facts.classes)
    # a copy each: in the file they lie where vector instructions like them less
    state = {key: tensor.clone() for key, tensor in load_file(prepared.weights).items()}
    module.load_state_dict(state, assign=True)
    return module


def _not_prepared(folder: Path, reason: str) -> DataError:
    return DataError(
        "not-prepared", f"{folder} holds no complete prepared model: {reason}.", "Run again to prepare it."
    )


def _write(resolved: "Resolved", folder: Path, images: FloatArray) -> None:
    if resolved.module is not None:
        cost, digest, logits = _write_module(resolved, resolved.module, folder, images)
    else:
        cost, digest, logits = _write_graph(resolved.onnx, resolved.card, folder, images)
    np.savez(folder / _REFERENCE, images=images.astype(np.float32, copy=False), logits=logits)
    facts = ModelFacts(
        name=resolved.card.name,
        input_shape=resolved.card.input_shape,
        classes=resolved.card.classes,
        parameters=cost.parameters,
        macs=cost.macs,
        weights=resolved.weights,
        weights_hash=digest,
        preprocessing=resolved.card.preprocessing,
        source=resolved.source,
        quantized=is_quantized(folder / _ONNX),
        int8_layers=int8_layers(resolved.onnx.graph) if resolved.onnx is not None else 0,
        activations=cost.activations,
    )
    (folder / _FACTS).write_bytes(msgspec.json.format(msgspec.json.encode(facts)))


def _write_module(
    resolved: "Resolved", module: "nn.Module", folder: Path, images: FloatArray
) -> "tuple[Cost, str, FloatArray]":
    from safetensors.torch import save_file

    from tensordyno.models.count import count
    from tensordyno.models.export import export_onnx

    state = _state(module)
    save_file(state, folder / _WEIGHTS)
    export_onnx(module, resolved.card, folder / _ONNX)
    digest = _digest((key, tensor.numpy()) for key, tensor in state.items())
    cost = count(module, resolved.card.input_shape)._replace(activations=_moved(folder / _ONNX))
    return cost, digest, torch_logits(module, images)


def _moved(path: Path) -> int:
    import onnx

    from tensordyno.models.traffic import activation_elements

    return activation_elements(onnx.load(path, load_external_data=False))


def _state(module: "nn.Module") -> dict[str, Any]:
    """The state dict with every tensor in memory of its own: safetensors refuses shared ones."""
    state, seen = {}, set()
    for key, tensor in module.state_dict().items():
        shared = tensor.data_ptr() in seen and tensor.numel() > 0
        seen.add(tensor.data_ptr())
        state[key] = tensor.clone() if shared else tensor.contiguous()
    return state


def _write_graph(
    model: Any, card: ModelCard, folder: Path, images: FloatArray
) -> "tuple[Cost, str, FloatArray]":
    from onnx import helper, numpy_helper

    from tensordyno.models.count import count_onnx
    from tensordyno.models.onnx_file import save
    from tensordyno.models.traffic import activation_elements

    notes = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, notes | {PREPROCESSING: note_preprocessing(card.preprocessing)})
    cost = count_onnx(model)._replace(activations=activation_elements(model))
    digest = _digest((tensor.name, numpy_helper.to_array(tensor)) for tensor in model.graph.initializer)
    save(model, folder / _ONNX)
    return cost, digest, onnx_logits(str(folder / _ONNX), images)


def _digest(tensors: Iterable[tuple[str, Any]]) -> str:
    """SHA-256 (16 hex digits) over names and bytes of all tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name, array in sorted(tensors, key=lambda tensor: tensor[0]):
        digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
