"""Whether the file that a verb is to make can be made, before any time is spent on it."""

import os
from pathlib import Path

from tensordyno.errors import StoreError, UsageError


def check_output(output: Path, suffix: str, *, force: bool, beside: tuple[Path, ...] = ()) -> None:
    """`beside` are other files that are written with it.

    Raises UsageError: `bad-output` for a name without the suffix, a folder, or a place that is not there,
    `output-exists` unless `force`; StoreError (`no-permission`) for a folder that cannot be written to.
    """
    remedy = f"Type for example: -o model{suffix}"
    folder = output.absolute().parent
    if not output.name.lower().endswith(suffix):
        raise UsageError("bad-output", f"{output} does not end in {suffix}.", remedy)
    if not folder.is_dir():
        raise UsageError(
            "bad-output", f"There is no folder {output.parent}.", "Make it, or choose another -o."
        )
    for path in (output, *beside):
        if path.is_dir():
            raise UsageError("bad-output", f"{path} is a folder.", remedy)
        if path.exists() and not force:
            text = f"{path} exists already."
            raise UsageError("output-exists", text, "Type --force to overwrite it, or choose another -o.")
    if not os.access(folder, os.W_OK):
        raise StoreError("no-permission", f"No permission to write into {folder}.", "Choose another -o.")
