"""One batch on an ONNX Runtime session: from host memory to host memory, or bound on the device."""

from typing import Any

import numpy as np

from tensordyno.timing.step import FloatArray, Step


class HostStep(Step):
    """`session.run` from a float32 array to a float32 array, in the pageable memory of NumPy."""

    def __init__(self, session: Any, images: FloatArray) -> None:
        self._run = session.run
        self._feed = {session.get_inputs()[0].name: np.ascontiguousarray(images)}
        self._outputs = [session.get_outputs()[0].name]
        self._logits: FloatArray = np.empty((len(images), 0), np.float32)

    def run(self) -> None:
        """One batch."""
        self._logits = self._run(self._outputs, self._feed)[0]

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        return np.array(self._logits, np.float32)


class DeviceStep(Step):
    """IO binding: input and output are tensors of ONNX Runtime on a device ("cpu" or "cuda"), bound once."""

    def __init__(self, session: Any, images: FloatArray, kind: str, index: int) -> None:
        import onnxruntime as ort

        self._run = session.run_with_iobinding
        self._on_host = kind == "cpu"
        # On the CPU an OrtValue looks into the array it is made of.
        self._images = np.array(images, np.float32, order="C")
        self._input = ort.OrtValue.ortvalue_from_numpy(self._images, kind, index)
        shape = [len(images), session.get_outputs()[0].shape[1]]
        self._logits = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, kind, index)
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(session.get_inputs()[0].name, self._input)
        self._binding.bind_ortvalue_output(session.get_outputs()[0].name, self._logits)

    def run(self) -> None:
        """One batch, complete on the device."""
        self._run(self._binding)
        if not self._on_host:
            self._binding.synchronize_outputs()

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        return np.array(self._logits.numpy(), np.float32)
