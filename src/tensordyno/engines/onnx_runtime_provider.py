"""ONNX Runtime's execution providers: which device each runs on, and what it is asked for there."""

from dataclasses import dataclass, field
from typing import Any

from tensordyno.device import device_index, device_kind
from tensordyno.engines.onnx_runtime_cuda import (
    CUDA,
    TENSORRT,
    Search,
    cuda_options,
    follows_graph,
    tensorrt_options,
)
from tensordyno.errors import Unsupported
from tensordyno.vocabulary import Precision

_CPU = "CPUExecutionProvider"

_SHORT = {"cpu": _CPU, "cuda": CUDA, "tensorrt": TENSORRT}
_DEVICE_KIND = {_CPU: "cpu", CUDA: "cuda", TENSORRT: "cuda"}


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a user may ask of a provider; `options` are its own and win over ours."""

    provider: str | None = None  # in full, or cpu, cuda, tensorrt; None: the device's own
    options: dict[str, Any] = field(default_factory=dict)
    search: Search = "exhaustive"
    nhwc: bool = False


@dataclass(frozen=True)
class Provider:
    """An execution provider for one device ("cpu", "cuda:1") and precision."""

    name: str
    device: str
    precision: Precision
    wishes: Wishes
    tensorrt: int | None = None  # major version that the provider was linked with

    @property
    def kind(self) -> str:
        """Kind of device: "cpu" or "cuda"."""
        return device_kind(self.device)

    @property
    def index(self) -> int:
        """Number of the device among its kind."""
        return device_index(self.device)

    def options(self) -> dict[str, str]:
        """Provider options as ONNX Runtime wants them; what was asked for wins."""
        ours: dict[str, str] = {}
        if self.name == CUDA:
            ours = cuda_options(self.precision, self.index, self.wishes.search, nhwc=self.wishes.nhwc)
        if self.name == TENSORRT:
            ours = tensorrt_options(self.precision, self.index, self.tensorrt)
        return ours | {key: str(value) for key, value in self.wishes.options.items()}

    def environment(self) -> dict[str, str]:
        """Variables to set first: NVIDIA's libraries take TF32 for float32 unless told not to."""
        strict = self.kind == "cuda" and self.precision is not Precision.TF32
        return {"NVIDIA_TF32_OVERRIDE": "0"} if strict else {}

    @property
    def shows_graph(self) -> bool:
        """Whether ONNX Runtime can write down the graph it made; TensorRT's engines are closed to it."""
        return self.name != TENSORRT

    @property
    def converts_graph(self) -> bool:
        """Whether the graph itself must be written in fp16; TensorRT up to 10 converts by itself."""
        typed = self.name == CUDA or (self.name == TENSORRT and follows_graph(self.tensorrt))
        return typed and self.precision is Precision.FP16


def provider_for(
    wishes: Wishes, device: str, precision: Precision, available: list[str], tensorrt: int | None = None
) -> Provider:
    """The provider that is wished for. `tensorrt` is the version that it is linked with, if it is there.

    Raises Unsupported when it is not one of these, not in this build of ONNX Runtime (`available`), does
    not run on `device`, or has no kernels for INT8.
    """
    kind = device_kind(device)
    asked = wishes.provider or kind
    name = _SHORT.get(asked, asked)
    if name not in _DEVICE_KIND:
        raise Unsupported(
            f"Tensordyno does not know ONNX Runtime's provider '{name}'.",
            f"Known: {', '.join(_DEVICE_KIND)}.",
        )
    if name not in available:
        raise Unsupported(
            f"This build of ONNX Runtime has no {name}; it has {', '.join(available)}.",
            "" if name == _CPU else "Type: pip uninstall onnxruntime; pip install onnxruntime-gpu",
        )
    if _DEVICE_KIND[name] != kind:
        raise Unsupported(f"{name} runs on {_DEVICE_KIND[name]} devices, and the trial asks for {device}.")
    if name == CUDA and precision is Precision.INT8:
        raise Unsupported(
            f"ONNX Runtime's {CUDA} has no INT8 convolutions: it would compute in float32.",
            "Type: --engine onnxruntime:provider=tensorrt",
        )
    return Provider(name, device, precision, wishes, tensorrt if name == TENSORRT else None)
