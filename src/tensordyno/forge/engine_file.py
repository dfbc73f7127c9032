"""One file that is an engine: weights, graph, choices, compiled kernels; checked before it is believed.

8 bytes   "dynoforg"
4         version of this layout, little-endian like all numbers
8         length of the header
32        SHA-256 of the header
header    JSON, filled up with spaces to a multiple of 64 bytes from the beginning
payload   arrays and kernels at the places that the header tells, each at a multiple of 64 bytes
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tensordyno.errors import DataError
from tensordyno.forge.choices import Chosen
from tensordyno.forge.compiled_kernels import KernelFiles
from tensordyno.forge.devices import Device
from tensordyno.forge.graph import Array, Graph
from tensordyno.forge.graph_text import graph_from_plain, graph_to_plain
from tensordyno.forge.version import forge_version, triton_version
from tensordyno.forge.whole_file import write_whole
from tensordyno.vocabulary import Precision

_MAGIC = b"dynoforg"
_LAYOUT = 1
_PREFIX = struct.Struct("<8sIQ32s")
_GRAIN_BYTES = 64


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """Who built an engine and for which GPU: another one has to choose its kernels anew."""

    gpu: str
    capability: tuple[int, int]
    forge: str
    triton: str


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    """Bytes of the payload."""

    first: int
    length: int


class _ArrayPlace(msgspec.Struct, frozen=True, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    piece: _Piece


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    maker: Maker
    precision: Precision
    batch_sizes: tuple[int, ...]
    choices: tuple[tuple[Chosen, ...], ...]  # of each batch size, of each operation
    graph: dict[str, Any]  # the scales of its tensors are the ranges of the calibration
    arrays: tuple[_ArrayPlace, ...]
    kernels: dict[str, dict[str, _Piece]]
    payload_bytes: int
    payload_sha256: str


@dataclass(frozen=True, kw_only=True)
class EngineRecord:
    """What an engine file holds. `graph` is simplified, and the same for every GPU."""

    maker: Maker
    graph: Graph
    precision: Precision
    choices: Mapping[int, tuple[Chosen, ...]]  # by batch size, of the operations in order
    kernels: KernelFiles


def maker_of(device: Device) -> Maker:
    """We, on this device."""
    return Maker(
        gpu=device.name,
        capability=device.target.capability,
        forge=forge_version(),
        triton=triton_version(),
    )


def write_engine(record: EngineRecord, path: Path) -> None:
    """Write a file, which appears when it is complete. Raises OSError."""
    payload = _Payload()
    arrays: list[_ArrayPlace] = []

    def store(array: Array) -> int:
        arrays.append(
            _ArrayPlace(array.dtype.str, array.shape, payload.add(np.ascontiguousarray(array).data))
        )
        return len(arrays) - 1

    plain = graph_to_plain(record.graph, store)
    kernels = {
        kernel: {name: payload.add(memoryview(content)) for name, content in files.items()}
        for kernel, files in record.kernels.items()
    }
    header = msgspec.json.encode(
        _Header(
            maker=record.maker,
            precision=record.precision,
            batch_sizes=tuple(record.choices),
            choices=tuple(record.choices.values()),
            graph=plain,
            arrays=tuple(arrays),
            kernels=kernels,
            payload_bytes=payload.length,
            payload_sha256=payload.sha256(),
        )
    )
    header += b" " * (-(_PREFIX.size + len(header)) % _GRAIN_BYTES)
    prefix = _PREFIX.pack(_MAGIC, _LAYOUT, len(header), hashlib.sha256(header).digest())
    write_whole(path, [prefix, header, *payload.parts()])


def read_engine(path: Path) -> EngineRecord:
    """Read a file. Raises DataError (`bad-engine-file`) where it is missing, damaged or no engine."""
    try:
        content = memoryview(path.read_bytes())
    except OSError as wrong:
        raise _bad(path, f"cannot be read: {wrong.strerror or wrong}") from wrong
    header, payload = _parts(path, content)
    if hashlib.sha256(payload).hexdigest() != header.payload_sha256:
        raise _bad(path, "is damaged: its contents are not those it was written with")
    try:
        arrays = [_array(place, payload) for place in header.arrays]
        graph = graph_from_plain(header.graph, arrays)
        choices = dict(zip(header.batch_sizes, header.choices, strict=True))
    except (ValueError, TypeError) as wrong:
        raise _bad(path, f"holds no engine: {wrong}") from wrong
    return EngineRecord(
        maker=header.maker,
        graph=graph,
        precision=header.precision,
        choices=choices,
        kernels={
            kernel: {name: bytes(_bytes(piece, payload)) for name, piece in files.items()}
            for kernel, files in header.kernels.items()
        },
    )


def check_maker(record: EngineRecord, device: Device, path: Path) -> None:
    """Raise DataError unless we, on this device, would have made the same engine.

    `engine-of-another-gpu`, `engine-of-another-version`.
    """
    made, ours = record.maker, maker_of(device)
    sizes = ",".join(map(str, record.choices))
    remedy = (
        f"Type: dyno build MODEL --precision {record.precision.value} --batch {sizes} -o {path},"
        " or load it with rebuild=True."
    )
    if (made.gpu, made.capability) != (ours.gpu, ours.capability):
        raise DataError(
            "engine-of-another-gpu", f"{path} was built for {made.gpu}, and this is {ours.gpu}.", remedy
        )
    if made != ours:
        raise DataError(
            "engine-of-another-version",
            f"{path} was built by forge {made.forge} with Triton {made.triton}, and these are forge"
            f" {ours.forge} and Triton {ours.triton}.",
            remedy,
        )


class _Payload:
    """Pieces one behind the other, each at its multiple of bytes."""

    def __init__(self) -> None:
        self._pieces: list[memoryview] = []
        self.length = 0

    def add(self, piece: memoryview) -> _Piece:
        """Where the piece will lie."""
        flat = piece.cast("B") if piece.nbytes else memoryview(b"")
        place = _Piece(self.length, flat.nbytes)
        filling = bytes(-flat.nbytes % _GRAIN_BYTES)
        self._pieces += [flat, memoryview(filling)]
        self.length += flat.nbytes + len(filling)
        return place

    def parts(self) -> Iterator[memoryview]:
        """All bytes, in order."""
        yield from self._pieces

    def sha256(self) -> str:
        """Of all bytes."""
        digest = hashlib.sha256()
        for piece in self._pieces:
            digest.update(piece)
        return digest.hexdigest()


def _parts(path: Path, content: memoryview) -> tuple[_Header, memoryview]:
    """The header and the payload, of the lengths that they should have."""
    if bytes(content[: len(_MAGIC)]) != _MAGIC:
        raise _bad(path, "is no engine of forge")
    if len(content) < _PREFIX.size:
        raise _bad(path, "is damaged: it ends too early")
    _, layout, length, digest = _PREFIX.unpack(content[: _PREFIX.size])
    if layout != _LAYOUT:
        raise _bad(path, f"has layout {layout}, and this forge reads layout {_LAYOUT}")
    text = content[_PREFIX.size : _PREFIX.size + length]
    if hashlib.sha256(text).digest() != digest:
        raise _bad(path, "is damaged: its header is not the one it was written with")
    try:
        header = msgspec.json.decode(text, type=_Header)
    except msgspec.MsgspecError as wrong:
        raise _bad(path, f"has a header that says nothing to us: {wrong}") from wrong
    payload = content[_PREFIX.size + length :]
    if len(payload) != header.payload_bytes:
        raise _bad(path, f"is damaged: {len(payload)} bytes of {header.payload_bytes}")
    return header, payload


def _bytes(piece: _Piece, payload: memoryview) -> memoryview:
    if not 0 <= piece.first <= piece.first + piece.length <= len(payload):
        raise ValueError("a piece lies outside")
    return payload[piece.first : piece.first + piece.length]


def _array(place: _ArrayPlace, payload: memoryview) -> Array:
    """An array over the file's bytes, which cannot be written."""
    dtype = np.dtype(place.dtype)
    if dtype.kind not in "iuf":
        raise ValueError(f"arrays of {dtype} are none of ours")
    return np.frombuffer(_bytes(place.piece, payload), dtype).reshape(place.shape)


def _bad(path: Path, why: str) -> DataError:
    return DataError("bad-engine-file", f"{path} {why}.", "Build or copy it again.")
