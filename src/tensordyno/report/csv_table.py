"""Every score as CSV: one row a trial, one column a number, the keys of summary.json."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.analysis.summary import flat

_SUFFIX = "_ci95"


def flat_rows(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Scores with scalars only: an interval `x_ci95` becomes `x_ci95_low` and `x_ci95_high`.

    Several values (one a device) become one text, semicolons between them.
    """
    return [_scalars(flat(score)) for score in scores]


def csv_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as CSV text (RFC 4180 quoting, newline line ends), empty fields where unknown."""
    text = io.StringIO()
    names = list(rows[0]) if rows else list(Score.__struct_fields__)
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _scalars(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith(_SUFFIX):
            found[f"{name}_low"], found[f"{name}_high"] = value or (None, None)
        elif isinstance(value, list):
            found[name] = "; ".join(f"{each:.6g}" for each in value) or None
        else:
            found[name] = value
    return found
