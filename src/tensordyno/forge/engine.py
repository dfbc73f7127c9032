"""An engine: a network compiled for one device in a few batch sizes, called like a function."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensordyno.forge.choices import Chosen
from tensordyno.forge.compiled_kernels import files_of, prepare
from tensordyno.forge.devices import Device
from tensordyno.forge.engine_file import EngineRecord, maker_of, write_engine
from tensordyno.forge.graph import Graph
from tensordyno.forge.images import as_tensor, is_native
from tensordyno.forge.program import Program
from tensordyno.forge.runtime import Executable
from tensordyno.forge.selection import Selection
from tensordyno.forge.weights import Weights
from tensordyno.vocabulary import Precision

if TYPE_CHECKING:
    import torch


class Engine:
    """A compiled network. `engine(images)` gives its logits.

    Images are PyTorch tensors, NumPy arrays or what speaks DLPack, in host memory or on the engine's device:
    float32 (n, channels, height, width), or what the network stores itself, (n, height, width, channels) in
    `input_dtype`, which is copied as it is. Any number of them: they run in the built batch sizes, the last
    ones in the smallest that holds them. One thread at a time.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        program: Program,
        precision: Precision,
        choices: Mapping[int, Sequence[Chosen]],
        device: Device,
        weights: Weights,
        selections: Sequence[Selection] = (),
    ) -> None:
        """`graph` is the one that an engine file keeps, `program` what became of it on this device."""
        self.precision = precision
        self.device = device
        self.selections = tuple(selections)  # how kernels were chosen; none where they come from a file
        self._graph = graph
        self._program = program
        self._weights = weights
        with self._current():
            self._executables = {
                size: Executable(program, size, choices[size], device, weights) for size in sorted(choices)
            }
            self._kernels = self._prepared() if device.is_gpu else []

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Those that were built, in ascending order."""
        return tuple(self._executables)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        view = self._program.input
        return view.channels, view.height, view.width

    @property
    def input_dtype(self) -> "torch.dtype":
        """Elements of images in the network's own form."""
        return self.executable(self.batch_sizes[0]).input.dtype

    @property
    def classes(self) -> int:
        """How many logits an image has."""
        return self._program.output.channels

    @property
    def memory_bytes(self) -> int:
        """On the device: weights, and an arena for each batch size."""
        arenas = sum(each.arena_bytes for each in self._executables.values())
        return self._weights.size_bytes + arenas

    def executable(self, batch_size: int) -> Executable:
        """The fixed places and launches of one built batch size. Raises KeyError for another."""
        return self._executables[batch_size]

    def __call__(self, images: Any) -> "torch.Tensor":
        """Logits (n, classes) of images, float32, on the engine's device; the GPU may still be at it.

        Raises UsageError (`bad-images`) for arrays of another kind or shape.
        """
        import torch

        given = as_tensor(images)
        is_native(given, self._program.input)
        with self._current():
            shape = len(given), self.classes
            logits = torch.empty(shape, dtype=torch.float32, device=self.device.torch)
            for first, count, size in pieces(len(given), self.batch_sizes):
                executable, part = self.executable(size), slice(first, first + count)
                executable.enter(given[part])
                executable.run()
                logits[part] = executable.logits[:count]
        return logits

    def top_k(self, images: Any, k: int = 5) -> "tuple[torch.Tensor, torch.Tensor]":
        """The k largest logits of each image, (n, k) float32, largest first, and their classes, int64."""
        values, classes = self(images).topk(k)
        return values, classes

    def save(self, path: str | Path) -> None:
        """Write an engine file, for `load` on the same kind of GPU. Raises OSError."""
        record = EngineRecord(
            maker=maker_of(self.device),
            graph=self._graph,
            precision=self.precision,
            choices={size: each.choices for size, each in self._executables.items()},
            kernels=files_of(self._kernels),
        )
        write_engine(record, Path(path))

    def _prepared(self) -> list[Any]:
        """All kernels, loaded, each batch size recorded as one graph."""
        import torch

        launches = [launch for each in self._executables.values() for launch in each.launches]
        image = torch.empty((1, *self.input_shape), device=self.device.torch)
        launches.append(self.executable(self.batch_sizes[0]).entrance(image))
        kernels = prepare(launches, self.device)
        for each in self._executables.values():
            each.capture()
        return kernels

    def _current(self) -> AbstractContextManager[Any]:
        """Triton launches on PyTorch's current device."""
        if not self.device.is_gpu:
            return nullcontext()
        import torch

        return torch.cuda.device(self.device.torch)


def pieces(count: int, batch_sizes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """How `count` images are cut: (first, how many, the built size they run in).

    Whole batches of the largest size, then the smallest one that holds the rest.
    """
    first = 0
    while first < count:
        left = count - first
        size = min((size for size in batch_sizes if size >= left), default=max(batch_sizes))
        yield first, min(left, size), size
        first += size
