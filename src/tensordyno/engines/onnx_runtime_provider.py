"""ONNX Runtime's execution providers: which device each runs on, and the options that keep a label true."""

from dataclasses import dataclass
from typing import Any

from tensordyno.errors import Unsupported
from tensordyno.vocabulary import Precision

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"

_SHORT = {"cpu": _CPU, "cuda": _CUDA, "tensorrt": _TENSORRT}
_DEVICE_KIND = {_CPU: "cpu", _CUDA: "cuda", _TENSORRT: "cuda"}


@dataclass(frozen=True)
class Provider:
    """An execution provider with its options, for one device ("cpu", "cuda:1") and precision."""

    name: str
    device: str
    precision: Precision
    asked: dict[str, Any]

    @property
    def kind(self) -> str:
        """Kind of device: "cpu" or "cuda"."""
        return self.device.partition(":")[0]

    @property
    def index(self) -> int:
        """Number of the device among its kind."""
        return int(self.device.partition(":")[2] or 0)

    def options(self) -> dict[str, str]:
        """Provider options as ONNX Runtime wants them; what was asked for wins."""
        ours: dict[str, str] = {}
        if self.name != _CPU:
            ours["device_id"] = str(self.index)
        if self.name == _CUDA:
            ours["use_tf32"] = "1" if self.precision is Precision.TF32 else "0"
        if self.name == _TENSORRT:
            ours["trt_fp16_enable"] = "1" if self.precision is Precision.FP16 else "0"
            ours["trt_int8_enable"] = "1" if self.precision is Precision.INT8 else "0"
        return ours | {key: str(value) for key, value in self.asked.items()}

    def environment(self) -> dict[str, str]:
        """Variables to set before the session: TensorRT takes TF32 for float32 unless told otherwise."""
        strict = self.name == _TENSORRT and self.precision is not Precision.TF32
        return {"NVIDIA_TF32_OVERRIDE": "0"} if strict else {}

    @property
    def shows_graph(self) -> bool:
        """Whether ONNX Runtime can write down the graph it made; TensorRT's engines are closed to it."""
        return self.name != _TENSORRT

    @property
    def converts_graph(self) -> bool:
        """Whether the graph itself must be written in fp16 (TensorRT converts by itself)."""
        return self.name == _CUDA and self.precision is Precision.FP16


def provider_for(
    asked: str | None, device: str, precision: Precision, options: dict[str, Any], available: list[str]
) -> Provider:
    """The provider that `asked` names: in full, as cpu, cuda or tensorrt, or None for the device's own.

    Raises Unsupported when it is not one of these, not in this build of ONNX Runtime (`available`), does
    not run on `device`, or has no kernels for INT8.
    """
    kind = device.partition(":")[0]
    name = _SHORT.get(asked or kind, asked or kind)
    if name not in _DEVICE_KIND:
        raise Unsupported(
            f"Tensordyno does not know ONNX Runtime's provider '{name}'.",
            f"Known: {', '.join(_DEVICE_KIND)}.",
        )
    if name not in available:
        raise Unsupported(
            f"This build of ONNX Runtime has no {name}; it has {', '.join(available)}.",
            "" if name == _CPU else "Type: pip install onnxruntime-gpu",
        )
    if _DEVICE_KIND[name] != kind:
        raise Unsupported(f"{name} runs on {_DEVICE_KIND[name]} devices, and the trial asks for {device}.")
    if name == _CUDA and precision is Precision.INT8:
        raise Unsupported(
            f"ONNX Runtime's {_CUDA} has no INT8 convolutions: it would compute in float32.",
            "Type: --engine onnxruntime:provider=tensorrt",
        )
    return Provider(name, device, precision, options)
