"""The exception tree. Every error has a slug, a sentence and a remedy; MESSAGES.md explains each slug.

DynoError
+-- UsageError          what the user asked for cannot be understood        exit 2
|   +-- SpecError       ... in a spec: file, line and key are known
|   +-- UnknownName     ... no member of a catalogue bears that name
+-- DataError           a file, folder or checkpoint is not what it should be  exit 2
+-- MissingPackage      an optional library is not installed                exit 3
+-- Unsupported         this engine cannot do that here (a Skip, with its reason)  exit 3
+-- StoreError          a run folder cannot be written or read              exit 4
+-- WorkerFailure       a child process crashed, hung or was killed          exit 5
+-- InstrumentError     the self-test found the instrument out of bounds     exit 6
+-- NothingValid        a run ended, and no trial of it is VALID             exit 1
+-- Interrupted         the user stopped a run; what was measured is kept    exit 130
"""

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_NOTHING_VALID = 1


class DynoError(Exception):
    """Base of all errors a user can meet.

    `slug` names the paragraph of MESSAGES.md; `remedy` says what to type or change.
    """

    exit_code = 1

    def __init__(self, slug: str, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence)
        self.slug = slug
        self.sentence = sentence
        self.remedy = remedy

    def line(self) -> str:
        """The one line a user reads."""
        tail = f" {self.remedy}" if self.remedy else ""
        return f"{self.sentence}{tail} [{self.slug}]"


class UsageError(DynoError):
    """What was asked for cannot be understood."""

    exit_code = 2


class SpecError(UsageError):
    """A spec is wrong at a known place."""


class UnknownName(UsageError):
    """No member of a catalogue bears that name; the nearest ones are offered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], extra: str = "") -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=2, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names)}."
        slug = f"unknown-{kind.replace(' ', '-')}"
        super().__init__(slug, f"There is no {kind} called '{name}'.", f"{hint} {extra}".strip())


class DataError(DynoError):
    """A file, folder or checkpoint is not what it should be."""

    exit_code = 2


class MissingPackage(DynoError):
    """An optional library is not installed."""

    exit_code = 3

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            "missing-package",
            f"The Python package '{package}' is not installed.",
            f"Type: pip install 'tensordyno[{extra}]'",
        )


class Unsupported(DynoError):
    """This engine, precision, device or model cannot be combined here; the sentence is the reason."""

    exit_code = 3

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__("unsupported", sentence, remedy)


class StoreError(DynoError):
    """A run folder cannot be written or read."""

    exit_code = 4


class WorkerFailure(DynoError):
    """A child process crashed, hung or was killed."""

    exit_code = 5


class InstrumentError(DynoError):
    """The self-test found the instrument out of its bounds."""

    exit_code = 6


class NothingValid(DynoError):
    """A run ended, and no trial of it is VALID."""

    exit_code = EXIT_NOTHING_VALID


class Interrupted(DynoError):
    """The user stopped a run; what was measured so far is kept."""

    exit_code = 130
