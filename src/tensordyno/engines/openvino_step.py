"""A network compiled by OpenVINO, bound to one batch: one request, or several in flight."""

from collections import deque
from typing import Any

import numpy as np

from tensordyno.engines.base import FloatArray, Step


class Slot:
    """An infer request with one batch and its result. `copies`: both cross the boundary each time."""

    def __init__(self, compiled: Any, images: FloatArray, copies: bool) -> None:
        import openvino as ov

        self.request = compiled.create_infer_request()
        self.images = np.ascontiguousarray(images, np.float32)
        if not copies:  # a tensor of its own that the request works on; the caller's array stays free
            self._tensor = ov.Tensor(self.images.copy(), shared_memory=True)
            self.request.set_input_tensor(self._tensor)
        self.entry: FloatArray = self.request.get_input_tensor().data
        self.exit: FloatArray = self.request.get_output_tensor().data
        self.logits = self.exit if not copies else np.empty_like(self.exit)


class HostStep(Step):
    """Copies a float32 array in, and float32 logits out into an array of ours."""

    def __init__(self, slot: Slot) -> None:
        self._images, self._entry = slot.images, slot.entry
        self._exit, self._logits = slot.exit, slot.logits
        self._infer = slot.request.infer
        self._slot = slot

    def run(self) -> None:
        """One batch."""
        np.copyto(self._entry, self._images)
        self._infer(share_outputs=True)
        np.copyto(self._logits, self._exit)

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        return self._logits.copy()


class DeviceStep(Step):
    """Works on OpenVINO's own tensors, which hold the input already."""

    def __init__(self, slot: Slot) -> None:
        self._infer = slot.request.infer
        self._slot = slot

    def run(self) -> None:
        """One batch."""
        self._infer(share_outputs=True)

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        return self._slot.logits.copy()


class PipelinedStep(Step):
    """As many batches in flight as there are slots, begun and finished in the same order."""

    def __init__(self, slots: list[Slot], copies: bool) -> None:
        self.depth = len(slots)
        self._free = deque(slots)
        self._copies = copies
        self._last = slots[0]

    def run(self) -> None:
        """One batch alone, from start to finish."""
        self.finish(self.start())

    def start(self) -> Slot:
        """Begin a batch on a free slot; there are `depth` of them."""
        slot = self._free.popleft()
        if self._copies:
            np.copyto(slot.entry, slot.images)
        slot.request.start_async()
        return slot

    def finish(self, handle: Slot) -> None:
        """Wait for the batch on this slot, fetch its result and free the slot."""
        handle.request.wait()
        if self._copies:
            np.copyto(handle.logits, handle.exit)
        self._last = handle
        self._free.append(handle)

    def output(self) -> FloatArray:
        """Logits of the last finished batch, float32 (batch, classes)."""
        return self._last.logits.copy()
