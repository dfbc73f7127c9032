"""A program for one batch size on a device: memory, weights and launches, all made once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensordyno.forge.candidates import candidate_of
from tensordyno.forge.choices import Chosen
from tensordyno.forge.devices import Device
from tensordyno.forge.images import is_native
from tensordyno.forge.kernels.base import Launch
from tensordyno.forge.memory_plan import memory_plan
from tensordyno.forge.program import Program
from tensordyno.forge.storages import Storages, allocated
from tensordyno.forge.weights import Weights

if TYPE_CHECKING:
    import torch


class Executable:
    """All launches of a program, over one arena.

    `input` (batch, height, width, channels) and `logits` (batch, classes) float32 are views into the arena:
    write the one, `run`, read the other. Whoever calls has made the device the current one.
    """

    def __init__(
        self, program: Program, batch_size: int, choices: Sequence[Chosen], device: Device, weights: Weights
    ) -> None:
        """`choices` are those of the program's operations, in order.

        Raises Unsupported for a batch that is too large for the kernels' numbers.
        """
        plan = memory_plan(program, batch_size)
        ways = list(zip(program.operations, map(candidate_of, choices), strict=True))
        scratch_bytes = max((way.scratch_bytes(each, batch_size) for each, way in ways), default=0)
        arena = allocated(plan.arena_bytes + scratch_bytes, device.torch)
        storages = Storages(
            {
                name: arena[plan.offsets[name] :][: size_bytes * batch_size]
                for name, size_bytes in program.storages.items()
            }
        )
        self.program = program
        self.batch_size = batch_size
        self.choices = tuple(choices)
        self.arena_bytes = arena.numel()
        self.input = storages.images(program.input, batch_size)
        self.logits = storages.images(program.output, batch_size)[:, 0, 0]
        self.launches = tuple(
            way.launch(
                operation,
                batch_size,
                storages=storages,
                weights=weights,
                device=device,
                scratch=arena[plan.arena_bytes :],  # launches follow each other, so they may share it
            )
            for operation, way in ways
        )
        self._device = device
        self._storages = storages
        self._graph: Any = None

    def run(self) -> None:
        """Enqueue everything on the current stream: as one graph where it was captured.

        While the caller records a graph of his own, kernels go into that one by one.
        """
        import torch

        if self._graph is not None and not torch.cuda.is_current_stream_capturing():
            self._graph.replay()
            return
        for launch in self.launches:
            launch.run()

    def capture(self) -> None:
        """Record all launches as one CUDA graph, which `run` replays from now on. On a GPU only."""
        import torch

        self.run()  # loads the kernels, which cannot be recorded
        torch.cuda.synchronize(self._device.torch)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.run()
        self._graph = graph

    def enter(self, images: "torch.Tensor") -> None:
        """Put at most a batch of images in front of the first layer, on the current stream.

        `images`, on any device, are (n, height, width, channels) in the elements of `input`, or float32
        (n, channels, height, width), which are rounded to the input's scale or format. The rest of the batch
        stays what it was. Raises UsageError (`bad-images`) for anything else, ValueError for more of them.
        """
        if len(images) > self.batch_size:
            raise ValueError(f"{len(images)} images do not fit into a batch of {self.batch_size}.")
        if is_native(images, self.program.input):
            self.input[: len(images)].copy_(images, non_blocking=True)
            return
        if len(images):
            self.entrance(images.to(self._device.torch, non_blocking=True).contiguous()).run()

    def entrance(self, planar: "torch.Tensor") -> Launch:
        """The launch that puts contiguous float32 images (n, channels, height, width) into `input`."""
        from tensordyno.forge.kernels.enter import enter_launch

        view, target = self.program.input, self._device.target
        return enter_launch(planar, view, len(planar), self._storages, target)
