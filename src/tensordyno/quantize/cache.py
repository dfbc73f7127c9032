"""What calibration costs is paid once: histograms and Q/DQ files are kept under names made of contents.

calibration/KEY/histograms.npz    one pass over the images; every method reads it
quantized/KEY/                    table.json and the Q/DQ files; every engine and device reads them

A key covers, besides what the caller says, our version, the text of this package and ONNX Runtime's version:
what another version would compute differently is not reused.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tensordyno import __version__
from tensordyno.quantize.entry import ensure, is_whole
from tensordyno.quantize.histogram import Histogram

if TYPE_CHECKING:
    from onnx import ModelProto

_FILE = "histograms.npz"
_HERE = Path(__file__).parent

Histograms = dict[str, Histogram]


def key_of(*parts: str) -> str:
    """SHA-256 (16 hex digits) over texts in their order; each ends where it ends, so ab+c is not a+bc."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8) + content)
    return digest.hexdigest()[:16]


def graph_key(model: "ModelProto") -> str:
    """SHA-256 (16 hex digits) over a graph, its weights and its opset."""
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()[:16]


def histograms(
    root: Path, key: str, tensors: Iterable[str], observe: Callable[[list[str]], Mapping[str, Histogram]]
) -> tuple[Histograms, bool]:
    """Histograms of these tensors, and whether they were kept already.

    `key` says which graph and which images in which order; no batch size, no method. `observe` gets the
    tensors of which none is kept, and its answers are kept with the others. Raises like `entry.ensure`.
    """
    wanted = list(tensors)
    folder = root / "calibration" / key_of(key, _maker())
    kept: Histograms = {}

    def fits() -> bool:
        kept.update(_read(folder))
        return kept.keys() >= set(wanted)

    def make(unfinished: Path) -> None:
        kept.update(_read(folder) if is_whole(folder) else {})
        kept.update(observe([name for name in wanted if name not in kept]))
        _write(unfinished, kept)

    reused = ensure(folder, make, fits)
    return {name: kept[name] for name in wanted}, reused


def quantized(root: Path, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of a network's table and Q/DQ files, and whether it was kept already.

    `make` writes them into an empty folder. `key` says which graph, which images, and everything that was
    asked for: method, layers kept in FP32. Raises like `entry.ensure`.
    """
    folder = root / "quantized" / key_of(key, _maker())
    return folder, ensure(folder, make)


@cache
def _maker() -> str:
    """Names who computes: a change of the code or of ONNX Runtime may change the numbers."""
    sources = sorted(_HERE.rglob("*.py"))
    texts = [f"{path.relative_to(_HERE)}\n{path.read_text(encoding='utf-8')}" for path in sources]
    return key_of(__version__, _version("onnxruntime"), _version("onnx"), *texts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _write(folder: Path, found: Histograms) -> None:
    arrays: dict[str, Any] = {
        f"{number}.{field}": array
        for number, histogram in enumerate(found.values())
        for field, array in histogram.to_arrays().items()
    }
    content = io.BytesIO()  # NumPy's own writing to files hides why it failed
    np.savez_compressed(content, names=np.array([*found], np.str_), **arrays)
    (folder / _FILE).write_bytes(content.getbuffer())


def _read(folder: Path) -> Histograms:
    """What was kept; nothing when it cannot be read."""
    try:
        with np.load(io.BytesIO((folder / _FILE).read_bytes())) as arrays:
            names = arrays["names"].tolist()
            return {name: Histogram.from_arrays(_fields(arrays, n)) for n, name in enumerate(names)}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return {}


def _fields(arrays: Any, number: int) -> dict[str, NDArray[Any]]:
    start = f"{number}."
    return {name.removeprefix(start): arrays[name] for name in arrays.files if name.startswith(start)}
