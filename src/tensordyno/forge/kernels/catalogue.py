"""All kernels, best first, and which of them compute an operation."""

from functools import cache
from importlib import import_module

from tensordyno.errors import Unsupported
from tensordyno.forge.kernels.base import Kernel, Target
from tensordyno.forge.packages import needed
from tensordyno.forge.program import Operation

# Modules of this package; each lists its kernels, best first, as KERNELS.
_MODULES = (
    "hopper_stem",
    "hopper_pair",
    "hopper_shortcut",
    "hopper_real_shortcut",
    "hopper_convolution",
    "hopper_real_pooled_stem",
    "hopper_real_stem",
    "hopper_real",
    "depthwise",
    "convolution",
    "max_pool",
    "average_pool",
    "global_pool",
    "elementwise",
    "normalise",
    "pad",
    "softmax",
)


@cache
def all_kernels() -> tuple[Kernel, ...]:
    """One of each. Raises MissingPackage."""
    needed("triton")
    modules = (import_module(f"{__package__}.{name}") for name in _MODULES)
    return tuple(
        kernel() if isinstance(kernel, type) else kernel for module in modules for kernel in module.KERNELS
    )


def kernels_for(operation: Operation, target: Target) -> tuple[Kernel, ...]:
    """Every kernel that computes the operation, best first.

    Raises Unsupported where there is none, MissingPackage.
    """
    found = tuple(kernel for kernel in all_kernels() if kernel.takes(operation, target))
    if not found:
        node, formats = operation.node, ", ".join(view.format for view in operation.inputs)
        raise Unsupported(
            f"Forge has no kernel for {node.name} ({type(node).__name__} of {formats} to"
            f" {operation.output.format}, {operation.precision} arithmetic) on this device."
        )
    return found


def has_kernel(operation: Operation, target: Target) -> bool:
    """Whether any kernel computes the operation. Raises MissingPackage."""
    return any(kernel.takes(operation, target) for kernel in all_kernels())


def kernel_named(name: str) -> Kernel:
    """The kernel of that name. Raises KeyError."""
    return {kernel.name: kernel for kernel in all_kernels()}[name]
