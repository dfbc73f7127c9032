"""From what a user typed to a network in memory: a module with weights, or an ONNX graph, and its card."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from tensordyno.errors import MissingPackage, UsageError
from tensordyno.models.base import FAMILIES, cards, family_of
from tensordyno.models.external import Origin, build_external, origin_of
from tensordyno.records.model import ModelCard, PreprocessingChange
from tensordyno.vocabulary import WeightsKind

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

_PACKAGE_DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A network ready to be prepared: either `module` (evaluation mode, CPU) or `onnx` is there."""

    card: ModelCard
    weights: WeightsKind
    source: str  # file or package it came from, for the report
    module: "nn.Module | None" = None
    onnx: "ModelProto | None" = None


def resolve(
    model: str,
    weights: str | None = None,
    seed: int = 0,
    preprocessing: PreprocessingChange | None = None,
) -> Resolved:
    """The network that `model` names, with the weights of a checkpoint file, its own, or random ones.

    `model` is a name of the catalogue, `torchvision:NAME`, `timm:NAME`, `package.module:function` or a
    path that ends in `.onnx`. Without `weights` a network gets the weights in our package, those that
    its function or file brings, or else random ones drawn from `seed`. Its card says how images become
    inputs: as the network's own source says, changed by `preprocessing`.
    Raises UnknownName, MissingPackage, DataError, and UsageError (`weights-in-onnx`, `layout-of-module`).
    """
    change = preprocessing or PreprocessingChange()
    if origin_of(model) is Origin.ONNX:
        resolved = _onnx_file(Path(model), weights, change)
    elif change.layout == "nhwc":
        raise UsageError(
            "layout-of-module",
            f"{model} is a PyTorch network, and those read (N, C, H, W).",
            "Leave out layout=nhwc; it is for ONNX files.",
        )
    else:
        resolved = _module(model, weights, seed)
    card = resolved.card
    return replace(
        resolved, card=msgspec.structs.replace(card, preprocessing=change.applied_to(card.preprocessing))
    )


def _module(model: str, weights: str | None, seed: int) -> Resolved:
    origin = origin_of(model)
    _require_torch()
    from tensordyno.models.weights import initialise, load_checkpoint

    module, card = _built(model, seed)
    packaged = _PACKAGE_DATA / card.weights if card.weights and origin is Origin.CATALOGUE else None
    checkpoint = Path(weights) if weights else packaged
    if checkpoint is not None:
        load_checkpoint(module, checkpoint)
        kind = WeightsKind.CHECKPOINT if weights else WeightsKind.PACKAGED
    elif origin is Origin.FUNCTION:
        kind = WeightsKind.EMBEDDED  # the function may have loaded them; they are not ours to replace
    else:
        initialise(module, card.input_shape, seed)
        kind = WeightsKind.RANDOM
    return Resolved(card=card, weights=kind, source=_source(model, checkpoint), module=module)


def bare_definition(model: str, classes: int) -> "nn.Module":
    """The module of a network in evaluation mode, for `load_state_dict(assign=True)`.

    Those of the catalogue's networks are on PyTorch's `meta` device: no time is spent on values that are
    replaced anyway. Raises like `resolve`.
    """
    import torch

    if origin_of(model) is not Origin.CATALOGUE:
        return build_external(model, seed=0)[0]
    with torch.device("meta"):
        module: nn.Module = FAMILIES.module(family_of(model)).build(model, classes)
    return module.eval()


def build_definition(model: str, classes: int) -> "nn.Module":
    """As `bare_definition`, in memory of its own, with weights of no meaning."""
    module = bare_definition(model, classes)
    if origin_of(model) is not Origin.CATALOGUE:
        return module
    module.to_empty(device="cpu")
    for name, buffer in module.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.zero_()
    return module


def _built(model: str, seed: int) -> "tuple[nn.Module, ModelCard]":
    if origin_of(model) is not Origin.CATALOGUE:
        return build_external(model, seed)
    family_of(model)  # raises UnknownName with the nearest names
    card = cards()[model]
    return build_definition(model, card.classes), card


def _onnx_file(path: Path, weights: str | None, change: PreprocessingChange) -> Resolved:
    from tensordyno.models.onnx_file import open_classifier

    if weights:
        raise UsageError(
            "weights-in-onnx",
            f"{path} holds its own weights; {weights} cannot replace them.",
            "Leave out --weights.",
        )
    graph, card = open_classifier(path, None if change.layout is UNSET else change.layout)
    return Resolved(card=card, weights=WeightsKind.EMBEDDED, source=str(path), onnx=graph)


def _source(model: str, checkpoint: Path | None) -> str:
    origin = origin_of(model)
    place = {
        Origin.CATALOGUE: f"tensordyno, {family_of(model)}.py" if origin is Origin.CATALOGUE else "",
        Origin.FUNCTION: model,
    }.get(origin, origin.value)
    return f"{place}; weights from {checkpoint.name}" if checkpoint else place


def _require_torch() -> None:
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingPackage("torch", "torch")
