"""Where an engine runs: a GPU, or a CPU by Triton's interpreter, for tests."""

from dataclasses import dataclass
from typing import Any

from tensordyno.errors import Unsupported
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.packages import needed

INTERPRETER = "TRITON_INTERPRET"  # the variable of the environment that chooses it, before Triton is imported


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An opened device. `torch` is PyTorch's name for it, a torch.device with its index."""

    torch: Any
    name: str  # as the driver says it: "NVIDIA H200"; "cpu" for the interpreter
    target: Target

    @property
    def is_gpu(self) -> bool:
        """Whether kernels are compiled; else Triton's interpreter runs them."""
        return not self.target.interpreted


def open_device(name: str) -> Device:
    """The device called "cpu", "cuda" or "cuda:1".

    Raises MissingPackage, or Unsupported where there is no such GPU, or where Triton compiles and the device
    is a CPU, or interprets and it is a GPU.
    """
    torch, triton = needed("torch"), needed("triton")
    device, interprets = torch.device(name), bool(triton.knobs.runtime.interpret)
    if device.type not in ("cpu", "cuda"):
        raise Unsupported(f"Forge runs on NVIDIA GPUs, not on {name}.")
    if device.type == "cpu":
        if not interprets:
            raise Unsupported(
                "On a CPU forge runs in Triton's interpreter only, which is for tests.",
                f"Set {INTERPRETER}=1 before Python starts, or choose a GPU.",
            )
        return Device(torch=device, name="cpu", target=Target(interpreted=True))
    if interprets:
        raise Unsupported(
            "Triton's interpreter is switched on, so kernels cannot be compiled for a GPU.",
            f"Unset {INTERPRETER} before Python starts.",
        )
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        raise Unsupported(f"PyTorch finds no GPU called {name} here.")
    device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
    capability = torch.cuda.get_device_capability(device)
    return Device(
        torch=device,
        name=torch.cuda.get_device_name(device),
        target=Target(capability=(int(capability[0]), int(capability[1]))),
    )
