"""The name under which a prepared model may be kept: anything that would change it changes the name."""

import hashlib
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tensordyno import __version__
from tensordyno.errors import DataError
from tensordyno.models.base import FAMILIES, cards, family_of
from tensordyno.models.external import Origin, origin_of, source_file

_HERE = Path(__file__).parent
_DATA = _HERE.parent / "data"
_MAKERS = (
    "layers.py",
    "weights.py",
    "export.py",
    "onnx_file.py",
    "onnx_input.py",
    "quantized_graph.py",
    "reference.py",
    "prepared.py",
    "count.py",
    "traffic.py",
)


def cache_key(model: str, weights: str | None, seed: int, reference: str = "") -> str:
    """A folder name such as `resnet50-1f3a9c0d22e4` for this network, made without importing a framework.

    It covers our version, the text of the definition and of the code that prepares it, the versions of
    the libraries involved, the content of every weights or ONNX file, the seed, and `reference`: whatever
    tells which reference images are meant. Of `package.module:function` only that module's own file is
    read. Raises UnknownName, or DataError (`missing-checkpoint`, `missing-onnx`).
    """
    parts = [__version__, model, str(seed), reference, *_definition(model)]
    parts += [_content(_HERE / maker) for maker in _MAKERS]
    parts += [_version(package) for package in ("torch", "onnx", "onnxscript", "onnxruntime")]
    if weights:
        parts.append(_content(Path(weights), "missing-checkpoint"))
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', Path(model).name)}-{digest[:12]}"


def _definition(model: str) -> list[str]:
    match origin_of(model):
        case Origin.CATALOGUE:
            definition = FAMILIES.source(family_of(model))  # raises UnknownName with the nearest names
            packaged = cards()[model].weights
            return [_content(definition), _content(_DATA / packaged) if packaged else ""]
        case Origin.ONNX:
            return [_content(Path(model), "missing-onnx")]
        case Origin.FUNCTION:
            file = source_file(model)
            return [_content(file) if file else ""]
        case library:
            return [_version(library.value), _version("torchvision")]


def _content(path: Path, slug: str = "missing-checkpoint") -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as wrong:
        raise DataError(slug, f"{path} cannot be read: {wrong.strerror}.", "Check the path.") from wrong


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
