"""A PyTorch network bound to one batch on an NVIDIA GPU: streams, events, CUDA graphs, pinned buffers.

Every batch is bracketed by two events, so that its time is known on the device's own clock as well as on
the wall. At most `depth` batches are in flight: a queue that may grow would make a latency mean nothing.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tensordyno.engines.base import FloatArray, Step
from tensordyno.engines.torch_step import Network, Placement, finished
from tensordyno.timing.step import filled

if TYPE_CHECKING:
    import torch

_WARM_UPS = 3  # before a capture: lazy initialisation and the choice of algorithms cannot be captured


class _Ticket(NamedTuple):
    """One batch in flight: the events before and after it."""

    begin: "torch.cuda.Event"
    end: "torch.cuda.Event"


class _CudaStep(Step):
    """What both boundaries share: tickets, and the time between their events."""

    def __init__(self, device: str, depth: int) -> None:
        import torch

        self.depth = depth
        self._stream = torch.cuda.Stream(device)
        self._on_stream = torch.cuda.stream(self._stream)  # made once: a batch may take but 100 us
        self._tickets = deque(
            _Ticket(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
            for _ in range(depth + 1)
        )
        self._finished: _Ticket | None = None  # the last batch that has been waited for
        self._device_ms = 0.0

    def run(self) -> None:
        """One batch, complete on return."""
        self.finish(self.start())

    def start(self) -> _Ticket:
        """Enqueue one batch; while the device is at it, note what the one before took."""
        ticket = self._tickets.popleft()
        self._enqueue(ticket)
        self._note()
        return ticket

    def finish(self, handle: _Ticket) -> None:
        """Wait for a batch."""
        self._note()
        handle.end.synchronize()
        self._finished = handle

    def device_s(self) -> float:
        """Seconds between the events of all batches since the last call, added up."""
        self._note()
        passed, self._device_ms = self._device_ms / 1e3, 0.0
        return passed

    def _note(self) -> None:
        """Add up the finished batch's time on the device's clock; its events are free again."""
        if self._finished is not None:
            self._device_ms += self._finished.begin.elapsed_time(self._finished.end)
            self._tickets.append(self._finished)
            self._finished = None

    @abstractmethod
    def _enqueue(self, ticket: _Ticket) -> None:
        """Put one batch and its two events on the device."""


class CudaDeviceStep(_CudaStep):
    """From a tensor on the device to logits left there."""

    def __init__(
        self,
        network: Network,
        images: FloatArray,
        place: Placement,
        batch_size: int,
        *,
        graph: bool,
        depth: int = 1,
    ) -> None:
        import torch

        super().__init__(place.device, depth)
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._forward = _forward(network, place.placed(images, batch_size), self._stream, graph=graph)
        self._logits: torch.Tensor | None = None

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        logits: FloatArray = finished(self._logits).float().cpu().numpy().copy()
        return logits

    def _enqueue(self, ticket: _Ticket) -> None:
        with self._on_stream:
            ticket.begin.record(self._stream)
            self._logits = self._forward()
            ticket.end.record(self._stream)


class CudaHostStep(_CudaStep):
    """From float32 images in pinned host memory to float32 logits in pinned host memory.

    Two streams and `depth` sets of buffers: the images of one batch travel while the one before computes.
    They cross the bus as float32, as an application has them, and are converted on the device.
    """

    def __init__(
        self,
        network: Network,
        images: FloatArray,
        place: Placement,
        batch_size: int,
        *,
        graph: bool,
        depth: int = 2,
    ) -> None:
        import torch

        super().__init__(place.device, depth)
        self._copies = torch.cuda.Stream(place.device)
        self._on_copies = torch.cuda.stream(self._copies)
        self._inference_mode = torch.inference_mode  # in which its buffers are made and may be written
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            there = place.placed(images, batch_size)
            self._there = there
            self._forward = _forward(network, there, self._stream, graph=graph)
            logits = self._forward().float()
            self._slots = deque(_Slot(images, batch_size, place.device, logits) for _ in range(depth))
        self._stream.synchronize()
        self._latest: _Slot | None = None

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        slot: _Slot = finished(self._latest)
        logits: FloatArray = slot.logits.numpy().copy()
        return logits

    def _enqueue(self, ticket: _Ticket) -> None:
        slot = self._slots[0]
        self._slots.rotate(-1)
        with self._inference_mode(), self._on_copies:
            ticket.begin.record(self._copies)
            slot.landed.copy_(slot.images, non_blocking=True)
            slot.arrived.record(self._copies)
        with self._inference_mode(), self._on_stream:
            self._stream.wait_event(slot.arrived)
            self._there.copy_(slot.landed)  # to the network's number format and layout
            slot.logits.copy_(self._forward(), non_blocking=True)
            ticket.end.record(self._stream)
        self._latest = slot


class _Slot:
    """The buffers of one batch in flight; `finish` has waited for it before it is filled again."""

    def __init__(self, images: FloatArray, batch_size: int, device: str, logits: "torch.Tensor") -> None:
        import torch

        self.images = torch.from_numpy(
            np.require(filled(images, batch_size), np.float32, ["C", "W"])
        ).pin_memory()
        self.landed = torch.empty_like(self.images, device=device)
        self.arrived = torch.cuda.Event()
        self.logits = torch.empty(logits.shape, dtype=torch.float32, pin_memory=True)


def _forward(
    network: Network, images: "torch.Tensor", stream: "torch.cuda.Stream", *, graph: bool
) -> "Callable[[], torch.Tensor]":
    """The network over these very images; as one CUDA graph a batch is one launch."""
    import torch

    if not graph:

        def eager() -> torch.Tensor:
            with torch.inference_mode():
                return network(images)

        return eager
    for _ in range(_WARM_UPS):
        network(images)
    stream.synchronize()
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded, stream=stream):
        logits = network(images)

    def replay() -> torch.Tensor:
        recorded.replay()
        return logits

    return replay
