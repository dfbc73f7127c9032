"""Where each key of a spec was written, so that an error can name the file, the line and the key."""

from collections.abc import Mapping

from tensordyno.errors import SpecError

KeyPath = tuple[str | int, ...]  # ("blocks", 0, "engines", 1)


def key_text(path: KeyPath) -> str:
    """A key path as people read it.

    >>> key_text(("blocks", 0, "measure", "min_seconds"))
    'blocks[0].measure.min_seconds'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return " ".join(text.split())


def shown(value: object) -> str:
    """A value that was found, short enough for a one-line message."""
    text = repr(value) if not isinstance(value, bool | None) else str(value).lower().replace("none", "null")
    return text if len(text) <= 60 else f"{text[:57]}..."


class Places:
    """Key path -> 'demo.yaml:7', '--set batch_sizes=0' or '--engine': whatever the user can look at."""

    def __init__(self, origins: Mapping[KeyPath, str] | None = None) -> None:
        self._origins = dict(origins or {})

    def where(self, path: KeyPath) -> str:
        """Origin of a key, or of the nearest key around it; empty when nothing is known."""
        for length in range(len(path), -1, -1):
            if path[:length] in self._origins:
                return self._origins[path[:length]]
        return ""

    def names(self, path: KeyPath) -> bool:
        """Whether somebody wrote this very key."""
        return path in self._origins

    def replace(self, path: KeyPath, origin: str) -> None:
        """`path` and all below it now come from `origin`."""
        below = [known for known in self._origins if known[: len(path)] == path]
        for known in below:
            del self._origins[known]
        self._origins[path] = origin

    def error(self, path: KeyPath, slug: str, text: str, remedy: str = "") -> SpecError:
        """A SpecError that says where; see `sentence`."""
        return SpecError(slug, self.sentence(path, text), remedy)

    def sentence(self, path: KeyPath, text: str) -> str:
        """One line that says where and what: '<origin>: <key>: <text>'."""
        parts = [self.where(path), key_text(path), text]
        return ": ".join(part for part in parts if part)
