"""Where things are kept between runs: prepared networks, and the way other interpreters find us."""

import hashlib
import os
from pathlib import Path

from tensordyno.store.writer import explained

_PACKAGE = Path(__file__).resolve().parents[1]


def cache_root() -> Path:
    """$TENSORDYNO_CACHE, else the user's cache folder. Nothing is created."""
    explicit = os.environ.get("TENSORDYNO_CACHE")
    if explicit:
        return Path(explicit).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tensordyno"


def only_tensordyno() -> Path:
    """A folder that holds this package and nothing else, for another interpreter's search path.

    An installed Tensordyno lies among hundreds of packages of this environment; on another one's path they
    would hide the very versions for whose sake it exists. Raises StoreError when it cannot be made.
    """
    name = hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:12]
    folder = cache_root() / "path" / name
    link = folder / _PACKAGE.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.unlink(missing_ok=True)  # it may point to where we were before
            link.symlink_to(_PACKAGE)
    except FileExistsError:  # another session was faster
        pass
    except OSError as wrong:
        raise explained(wrong, folder) from wrong
    return folder
