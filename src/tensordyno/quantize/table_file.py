"""A calibration table as a JSON file of its own, readable by people and by every later version."""

from pathlib import Path

import msgspec

from tensordyno.errors import DataError
from tensordyno.records.calibration import CalibrationTable

FILE_NAME = "table.json"
_REMEDY = "Give a table that `dyno quantize` wrote, or leave it out to calibrate anew."


def write_table(table: CalibrationTable, path: Path) -> None:
    """Write a table, indented. Raises OSError."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(table)) + b"\n")


def read_table(path: Path) -> CalibrationTable:
    """Read a table back. Raises DataError (`bad-table`) for a file that is missing, broken or no table."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=CalibrationTable)
    except OSError as wrong:
        reason = wrong.strerror or str(wrong)
        raise DataError(
            "bad-table", f"The calibration table {path} cannot be read: {reason}.", _REMEDY
        ) from wrong
    except msgspec.MsgspecError as wrong:
        raise DataError("bad-table", f"{path} is no calibration table: {wrong}.", _REMEDY) from wrong


def check_table(table: CalibrationTable, path: Path, model_hash: str) -> None:
    """Raise DataError (`table-of-another-model`) unless the table was made for exactly these weights."""
    if table.model_hash != model_hash:
        raise DataError(
            "table-of-another-model",
            f"{path} was made for {table.model} with other weights ({table.model_hash}, here {model_hash}).",
            "Leave the table out to calibrate anew: ranges are those of one network with one set of weights.",
        )
