"""A lock on a folder of a cache: while one session makes it, the others wait."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensordyno.store.writer import explained


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While this session makes a folder, others that want the same one wait for it.

    The lock is a file beside the folder; the system gives it back when its holder dies. Raises StoreError
    (`disk-full`, `no-permission`, `cannot-write`).
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f".{folder.name}.lock").open("wb")
    except OSError as wrong:
        raise explained(wrong, folder.parent) from wrong
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
