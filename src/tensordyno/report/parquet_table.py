"""Every score as Parquet, with types that do not depend on what a run happened to measure."""

import io
import types
from collections.abc import Sequence
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from tensordyno.analysis.scores import Interval, Score
from tensordyno.errors import MissingPackage


def parquet_table(rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows of `csv_table.flat_rows` as a Parquet file.

    Raises MissingPackage when pyarrow is not installed.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as absent:
        raise MissingPackage("pyarrow", "report") from absent
    named = {"str": arrow.string(), "int": arrow.int64(), "float": arrow.float64(), "bool": arrow.bool_()}
    schema = arrow.schema([(column, named[kind]) for column, kind in column_types().items()])
    file = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(list(rows), schema=schema), file)
    return file.getvalue()


def column_types() -> dict[str, str]:
    """Column names in order with 'str', 'int', 'float' or 'bool'; all may be null."""
    found: dict[str, str] = {}
    for name, hint in get_type_hints(Score).items():
        kind = _plain_type(hint)
        if kind is Interval:
            found |= {name: "float", f"{name}_ci95_low": "float", f"{name}_ci95_high": "float"}
        else:
            found[name] = "str" if issubclass(kind, Enum) else kind.__name__
    return found


def _plain_type(hint: Any) -> type:
    """The one type of a hint that is not None; several values travel as text."""
    if get_origin(hint) is tuple:
        return str
    kinds = [k for k in get_args(hint) if k is not types.NoneType] or [hint]
    kind: type = kinds[0]
    return kind
