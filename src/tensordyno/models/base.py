"""The contract of a network: a literal card that can be read without PyTorch, and a build function.

A family is one file in this folder. It begins with the literal `NETWORKS`, a dict from network name
to the fields of its ModelCard that differ from the defaults, and it defines

    def build(name: str, classes: int | None = None) -> torch.nn.Module

so that listing and planning read the file's text and never import PyTorch.
"""

from functools import cache
from pathlib import Path

import msgspec

from tensordyno.catalogue import Catalogue
from tensordyno.errors import UnknownName
from tensordyno.records.model import ModelCard, ModelFacts

_SHARED_CODE = frozenset(
    {
        "layers",
        "weights",
        "count",
        "export",
        "external",
        "onnx_file",
        "onnx_input",
        "quantized_graph",
        "reference",
        "resolve",
        "traffic",
        "cache_key",
        "prepared",
    }
)
FAMILIES = Catalogue("models", "model family", besides=_SHARED_CODE)

BATCH_AXIS = "N"  # name of the ONNX graph's symbolic batch axis; engines fix it


class PreparedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A network made ready once for all engines, as files of one folder.

    onnx:      float32 graph, input `images` (N, C, H, W) to output `logits` (N, classes), symbolic BATCH_AXIS
    weights:   safetensors file of the state dict; None for a network that came as ONNX
    reference: .npz with `images` float32 (n, C, H, W), `logits` float32 (n, classes) from strict FP32
    """

    facts: ModelFacts
    folder: Path
    onnx: Path
    weights: Path | None
    reference: Path


@cache
def cards() -> dict[str, ModelCard]:
    """Every network of the catalogue by name, read without importing PyTorch."""
    found: dict[str, ModelCard] = {}
    for family in FAMILIES.names():
        for name, fields in (FAMILIES.literal(family, "NETWORKS") or {}).items():
            found[name] = msgspec.convert({"name": name, **fields}, ModelCard)
    return found


def family_of(name: str) -> str:
    """The family (file) that defines a network.

    Raises UnknownName, offering the nearest networks.
    """
    for family in FAMILIES.names():
        if name in (FAMILIES.literal(family, "NETWORKS") or {}):
            return family
    raise UnknownName(
        "model", name, cards(), "Also: torchvision:NAME, timm:NAME, FILE.onnx, package.module:function."
    )
