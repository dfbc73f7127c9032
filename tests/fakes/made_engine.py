"""Forge's engine as `dyno build` sees one: batch sizes, what was chosen for them, and a file to be saved."""

from pathlib import Path
from types import SimpleNamespace

PRODUCT, POOL = "implicit product", "max pool"


def chosen(kernel=PRODUCT, us=100.0):
    return SimpleNamespace(kernel=kernel, us=us)


def selection(batch_size, kept=False):
    return SimpleNamespace(batch_size=batch_size, kept=kept)


class MadeEngine:
    """`choices` and `selections` by batch size; `failure` is raised instead of saving."""

    device = SimpleNamespace(name="NVIDIA H200")

    def __init__(self, choices, selections=(), failure=None):
        self.selections = tuple(selections)
        self.batch_sizes = tuple(sorted(choices))
        self._choices = choices
        self._failure = failure

    def executable(self, batch_size):
        choices = self._choices[batch_size]
        return SimpleNamespace(choices=choices, launches=choices, arena_bytes=batch_size * 2**20)

    def save(self, path):
        if self._failure is not None:
            raise self._failure
        Path(path).write_bytes(bytes(3072))
