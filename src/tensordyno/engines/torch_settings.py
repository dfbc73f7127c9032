"""PyTorch's process-wide settings: threads, number formats, and what it says of its own build."""

import re
from typing import TYPE_CHECKING, Any

from tensordyno.device import device_index
from tensordyno.engines.device_facts import BF16_FLAGS, FP16_FLAGS, cpu_flags, device_name
from tensordyno.engines.framework import framework
from tensordyno.errors import Unsupported
from tensordyno.records.build import Receipt
from tensordyno.vocabulary import Precision

if TYPE_CHECKING:
    import torch

EXTRA = "torch"


def torch_receipt(engine: str, device: str, precision: Precision, threads: int) -> Receipt:
    """Import PyTorch, apply the settings, run a first operation on the device.

    Raises MissingPackage, or Unsupported when the device or the precision is not to be had here.
    """
    torch = framework("torch", EXTRA)
    set_threads(threads)
    _check_device(device)
    _check_precision(device, precision)
    set_number_formats(precision)
    torch.ones(8, 8, device=device).sum().item()
    return Receipt(
        engine=engine,
        version=str(torch.__version__),
        device=torch.cuda.get_device_name(device) if device.startswith("cuda") else device_name(device),
        provider="CUDA" if device.startswith("cuda") else "CPU",
        threads=torch.get_num_threads(),
        build_flags=_build_flags(torch.__config__.show()),
        libraries=_libraries(),
        settings={"interop threads": str(torch.get_num_interop_threads())},
    )


def set_threads(threads: int) -> None:
    """`threads` for one operation, one operation at a time."""
    import torch

    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:  # may be set only once in a process
        torch.set_num_interop_threads(1)


def set_number_formats(precision: Precision) -> None:
    """Strict IEEE float32 in every library; TF32 on NVIDIA GPUs if that is what was asked for."""
    import torch

    tf32 = precision is Precision.TF32
    backends: Any = torch.backends  # untyped in part
    # The older switches first: PyTorch refuses to export or compile where they contradict the newer.
    backends.cuda.matmul.allow_tf32 = tf32
    backends.cudnn.allow_tf32 = tf32
    if not hasattr(backends.cuda.matmul, "fp32_precision"):  # before PyTorch 2.9
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        return
    for operation in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        operation.fp32_precision = "tf32" if tf32 else "ieee"
    for operation in (backends.mkldnn.conv, backends.mkldnn.matmul):
        operation.fp32_precision = "ieee"


def dtype_of(precision: Precision) -> "torch.dtype":
    """The dtype of weights and activations."""
    import torch

    return {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}.get(precision, torch.float32)


def _check_device(device: str) -> None:
    import torch

    if device == "cpu":
        return
    if not device.startswith("cuda"):
        raise Unsupported(f"This PyTorch engine runs on cpu and cuda devices, not on '{device}'.")
    if not torch.cuda.is_available():
        raise Unsupported(f"PyTorch {torch.__version__} sees no CUDA device here.")
    if device_index(device) >= torch.cuda.device_count():
        raise Unsupported(f"There is no {device}: PyTorch sees {torch.cuda.device_count()} CUDA device(s).")


def _check_precision(device: str, precision: Precision) -> None:
    import torch

    if device != "cpu" or precision not in (Precision.BF16, Precision.FP16):
        return
    by_onednn = {
        Precision.BF16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        Precision.FP16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    flags = {Precision.BF16: BF16_FLAGS, Precision.FP16: FP16_FLAGS}[precision]
    # oneDNN also says yes where it would emulate the format in float32.
    if not (by_onednn[precision]() and flags & cpu_flags()):
        raise Unsupported(
            f"This CPU has no {precision} instructions that oneDNN uses: PyTorch would convert to float32."
        )


def _build_flags(shown: str) -> str:
    """One line of `torch.__config__.show()`: compiler, libraries, instruction sets."""
    lines = [line.removeprefix("  - ").strip() for line in shown.splitlines() if line.startswith("  - ")]
    kept = [line for line in lines if not line.startswith(("Build settings", "LAPACK", "C++ Version"))]
    return "; ".join(re.sub(r"\s*(\(.*?\)|-Product Build \d+|for Intel.*)", "", line) for line in kept)


def _libraries() -> dict[str, str]:
    import torch

    found = {}
    if onednn := re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show()):
        found["oneDNN"] = onednn[1]
    if torch.version.cuda:
        found["CUDA"] = torch.version.cuda
        found["cuDNN"] = str(torch.backends.cudnn.version())
    return found
