"""Files that are either as they were or as they should be, whatever interrupts the writing."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file beside and let it take the name when all of it is on the disk. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, unfinished = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(number, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(unfinished, 0o666 & ~_mask())
        os.replace(unfinished, path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _mask() -> int:
    """What the user takes away from new files; a temporary file starts with the owner's rights only."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
