"""Compiled kernels as files that can travel: taken out of Triton's cache, put into that of another machine.

What travels runs on the GPU only. The launchers, which are native code of the host, are made where they run.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tensordyno.forge.devices import Device
from tensordyno.forge.kernels.base import Launch
from tensordyno.forge.packages import needed

_METADATA = ".json"
_TRAVELLING = (_METADATA, ".cubin")  # Triton loads nothing else

KernelFiles = Mapping[str, Mapping[str, bytes]]  # hash of a kernel -> name of a file -> what is in it


def prepare(launches: Iterable[Launch], device: Device) -> list[Any]:
    """Triton's compiled kernels of all launches, each loaded into the GPU and ready; each once.

    Several at a time: what is not in Triton's cache is compiled on all cores. Raises what Triton raises.
    """
    import torch

    def compiled(launch: Launch) -> Any:
        with torch.cuda.device(device.torch):
            return launch.function.warmup(
                **launch.arguments, **launch.constants, **launch.options, grid=launch.grid
            )

    def load(kernel: Any) -> None:
        with torch.cuda.device(device.torch):
            _ = kernel.run

    needed("triton.runtime.driver").driver.active.get_current_target()  # else each thread makes one
    with ThreadPoolExecutor() as threads:
        every = threads.map(compiled, [each for launch in launches for each in _all_of(launch)])
        kernels = {kernel.hash: kernel for kernel in every}
        first = {_launcher(kernel): kernel for kernel in kernels.values()}
        list(threads.map(load, first.values()))  # Triton 3.6 compiles a launcher for each signature
        list(threads.map(load, kernels.values()))  # these find theirs made
    return list(kernels.values())


def _launcher(kernel: Any) -> str:
    """What tells the host code that launches a kernel from that of others: the types of its arguments."""
    described = getattr(kernel.metadata, "tensordesc_meta", None)
    return repr((tuple(kernel.src.signature.values()), described))


def files_of(kernels: Iterable[Any]) -> KernelFiles:
    """The files of compiled kernels. Raises OSError where Triton's cache has been emptied meanwhile."""
    return {
        kernel.hash: {
            name: Path(path).read_bytes()
            for name, path in kernel.metadata_group.items()
            if Path(name).suffix in _TRAVELLING
        }
        for kernel in kernels
    }


def put_into_cache(files: KernelFiles) -> None:
    """Let Triton find these kernels compiled. Those that it has already stay. Raises OSError."""
    cache_of = needed("triton.runtime.cache").get_cache_manager
    for kernel, named in files.items():
        cache = cache_of(kernel)
        metadata = next(name for name in named if name.endswith(_METADATA))
        if not cache.get_group(metadata):
            paths = {name: cache.put(content, name) for name, content in named.items()}
            cache.put_group(metadata, paths)


def _all_of(launch: Launch) -> Iterator[Launch]:
    for before in launch.before:
        yield from _all_of(before)
    yield launch
