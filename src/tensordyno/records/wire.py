"""The wire format: records to JSON lines and back, with a schema version.

A line of a run folder is `{"schema": 1, "kind": "outcome", "data": {...}}`. When a record changes in a
way that defaults cannot bridge, `SCHEMA` grows by one and `_UPGRADES` gains the function that turns
the older data into the newer: stored runs stay readable for ever.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tensordyno.errors import StoreError
from tensordyno.records.base import Record
from tensordyno.records.device import DevicePage, IdleWindow
from tensordyno.records.machine import RunFooter, RunHeader
from tensordyno.records.memory import LargestBatch
from tensordyno.records.messages import Order, Report
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import (
    ChannelSet,
    DeviceFacts,
    Overhead,
    Reading,
    SamplerFacts,
    Unavailable,
)
from tensordyno.records.trial import Skip

SCHEMA = 1

KINDS: dict[str, type[Record]] = {
    "header": RunHeader,
    "skip": Skip,
    "outcome": Outcome,
    "channels": ChannelSet,
    "device": DeviceFacts,
    "reading": Reading,
    "unavailable": Unavailable,
    "sampler": SamplerFacts,
    "overhead": Overhead,
    "idle": IdleWindow,
    "page": DevicePage,
    "largest": LargestBatch,
    "footer": RunFooter,
}
_KIND_OF = {record: kind for kind, record in KINDS.items()}

# schema version that a line was written with -> function (kind, data) -> data of the next version
_UPGRADES: dict[int, Callable[[str, dict[str, Any]], dict[str, Any]]] = {}


class _Line(msgspec.Struct):
    schema: int
    kind: str
    data: msgspec.Raw


_line = msgspec.json.Decoder(_Line)
_decoders = {kind: msgspec.json.Decoder(record) for kind, record in KINDS.items()}
_orders: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_reports: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def encode_line(record: Record) -> bytes:
    """One line of a run folder, newline included."""
    body = {"schema": SCHEMA, "kind": _KIND_OF[type(record)], "data": record}
    return msgspec.json.encode(body) + b"\n"


def decode_line(line: bytes, where: str = "") -> Record:
    """The record of one line; `where` (file:line) names it in an error.

    Raises StoreError for a line that is not ours or was written by a newer Tensordyno.
    """
    try:
        outer = _line.decode(line)
        if outer.schema > SCHEMA:
            raise StoreError(
                "unknown-schema",
                f"{where}: schema version {outer.schema} is newer than this Tensordyno reads ({SCHEMA}).",
                "Type: pip install --upgrade tensordyno",
            )
        if outer.kind not in KINDS:
            raise StoreError("broken-record", f"{where}: unknown kind of record '{outer.kind}'.")
        if outer.schema == SCHEMA:
            return _decoders[outer.kind].decode(outer.data)
        data = msgspec.json.decode(outer.data)
        for version in range(outer.schema, SCHEMA):
            data = _UPGRADES[version](outer.kind, data)
        return msgspec.convert(data, KINDS[outer.kind])
    except (msgspec.DecodeError, KeyError) as wrong:
        raise StoreError("broken-record", f"{where}: not a Tensordyno record ({wrong}).") from wrong


def encode_message(message: Order | Report) -> bytes:
    """One message between parent and worker, newline included."""
    return msgspec.json.encode(message) + b"\n"


def decode_order(line: bytes) -> Order:
    """What the parent asks of a worker."""
    return _orders.decode(line)


def decode_report(line: bytes) -> Report:
    """What a worker answers."""
    return _reports.decode(line)
