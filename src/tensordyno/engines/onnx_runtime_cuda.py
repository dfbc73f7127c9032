"""ONNX Runtime on NVIDIA GPUs: options that keep a label true, and the signs of a silent fallback."""

import importlib
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from tensordyno.errors import Unsupported
from tensordyno.vocabulary import Precision

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

Search = Literal["exhaustive", "heuristic", "default"]

_TENSORRT_LIBRARY = "libonnxruntime_providers_tensorrt.so"
_LAST_WITH_FLAGS = 10  # TensorRT 11 takes every precision from the network's own types
_RECORD = "session.record_ep_graph_assignment_info"
_REFUSE = "session.disable_cpu_ep_fallback"
_REFUSED = "assigned to the default CPU EP"
# What ONNX Runtime says when it cannot start a provider: its library, one that it needs, or the driver.
_NOT_LOADED = (
    "Failed to load library",
    "wasn't able to be loaded",
    "install all dependencies",
    "CUDA driver version",
)


def cuda_options(precision: Precision, index: int, search: Search, *, nhwc: bool) -> dict[str, str]:
    """Strict float32 unless TF32 is asked for; copies go through the stream that computes."""
    return {
        "device_id": str(index),
        "use_tf32": "1" if precision is Precision.TF32 else "0",
        "cudnn_conv_algo_search": search.upper(),
        "do_copy_in_default_stream": "1",
        "prefer_nhwc": "1" if nhwc else "0",
    }


def tensorrt_options(precision: Precision, index: int, major: int | None) -> dict[str, str]:
    """Precision by flags for TensorRT up to 10; later ones, and unknown ones, follow the graph's types."""
    options = {"device_id": str(index)}
    if follows_graph(major):
        return options
    options["trt_fp16_enable"] = "1" if precision is Precision.FP16 else "0"
    options["trt_int8_enable"] = "1" if precision is Precision.INT8 else "0"
    return options


def follows_graph(major: int | None) -> bool:
    """Whether this version of TensorRT computes in the types that the graph is written in."""
    return major is None or major > _LAST_WITH_FLAGS


def tensorrt_major(package: Path) -> int | None:
    """The TensorRT that the provider in ONNX Runtime's folder was linked with; None where there is none.

    The name of the library it needs decides, not what is installed: with another one it does not load.
    """
    library = package / "capi" / _TENSORRT_LIBRARY
    try:
        needed = re.search(rb"libnvinfer\.so\.(\d+)", library.read_bytes())
    except OSError:
        return None
    return int(needed[1]) if needed else None


def preload(ort: ModuleType, *, tensorrt: bool) -> None:
    """Load CUDA's and TensorRT's libraries from Python packages, where the system's loader finds none."""
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    if tensorrt:
        with suppress(ImportError, OSError):
            importlib.import_module("tensorrt")


def strictness(session_class: type) -> dict[str, str]:
    """Session settings that make a node on another provider known (ONNX Runtime 1.24 on) or an error."""
    return {_RECORD: "1"} if hasattr(session_class, "get_provider_graph_assignment_info") else {_REFUSE: "1"}


def nodes_by_provider(session: Any) -> list[tuple[str, list[str]]]:
    """Provider and operators of each part of a session's graph; empty where it was not recorded."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return []
    parts = session.get_provider_graph_assignment_info()
    return [(part.ep_name, [node.op_type for node in part.get_nodes()]) for part in parts]


def misplaced(parts: Iterable[tuple[str, list[str]]], provider: str) -> str:
    """A sentence on the nodes that would run elsewhere; "" when all run on `provider`."""
    parts = list(parts)
    elsewhere = Counter(kind for name, kinds in parts if name != provider for kind in kinds)
    if not elsewhere:
        return ""
    others = ", ".join(sorted({name for name, _ in parts if name != provider}))
    count, total = elsewhere.total(), sum(len(kinds) for _, kinds in parts)
    kinds = ", ".join(kind for kind, _ in elsewhere.most_common(3))
    return f"{count} of {total} nodes of this network ({kinds}) would run on {others} instead of {provider}."


def session_refusal(error: BaseException, provider: str, needs: int | None) -> Unsupported | None:
    """What a reader should see instead of ONNX Runtime's own words; None: these are best.

    `needs` is the TensorRT that the provider was linked with.
    """
    text = str(error)
    if _REFUSED in text:
        return Unsupported(f"ONNX Runtime would run parts of this network on the CPU instead of {provider}.")
    telling = next((line for line in text.splitlines() if any(sign in line for sign in _NOT_LOADED)), None)
    if telling is None:
        return None
    why = telling.strip().rpartition("with error: ")[2]
    return Unsupported(f"ONNX Runtime could not load {provider}: {why.rstrip('.')}.", remedy(provider, needs))


def remedy(provider: str, needs: int | None) -> str:
    """What to type when a provider does not start."""
    if provider == TENSORRT:
        wanted = f"'tensorrt=={needs}.*'" if needs else "tensorrt"
        return f"Type: pip install {wanted}"
    return "Type: pip install 'onnxruntime-gpu[cuda,cudnn]'"
