"""A folder that is either whole or made anew, whatever happened to it or to whoever was writing it."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from tensordyno.store.alone import alone
from tensordyno.store.writer import explained

_CONTENTS = "contents.json"  # SHA-256 of every other file; written last

Make = Callable[[Path], None]


def ensure(folder: Path, make: Make, fits: Callable[[], bool] = lambda: True) -> bool:
    """See to it that `folder` holds what `make` writes; returns whether it was there already.

    `make` gets an empty folder beside, which takes the name when it is complete: a reader finds everything
    or nothing. A folder of which a file is missing, cut short or changed counts as not there, and so does
    one that does not fit. One of several sessions makes it, the others wait.
    Raises StoreError (`disk-full`, `no-permission`, `cannot-write`), and what `make` raises.
    """
    if is_whole(folder) and fits():
        return True
    with alone(folder):
        if is_whole(folder) and fits():  # another session was faster
            return True
        _replace(folder, make)
    return False


def is_whole(folder: Path) -> bool:
    """Whether every file is there as it was written."""
    try:
        contents = msgspec.json.decode((folder / _CONTENTS).read_bytes(), type=dict[str, str])
        return contents == _hashes(folder)
    except (OSError, msgspec.MsgspecError):
        return False


def _replace(folder: Path, make: Make) -> None:
    try:
        for left_by_the_dead in folder.parent.glob(f".{folder.name}-*"):  # the living wait for our lock
            shutil.rmtree(left_by_the_dead, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            make(unfinished)
            (unfinished / _CONTENTS).write_bytes(msgspec.json.encode(_hashes(unfinished)))
            _remove(folder)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except ConnectionError:  # nobody listens to our progress any more: not the disk's fault
        raise
    except OSError as wrong:
        raise explained(wrong, folder) from wrong


def _hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _CONTENTS:
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
