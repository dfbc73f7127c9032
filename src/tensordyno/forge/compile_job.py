"""What a kernel is compiled from: a launch without its tensors, small enough to go to another process."""

import dataclasses
import importlib
import pickle
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any

from tensordyno.forge.kernels.base import Launch

_POINTER_GRAIN = 16  # bytes: Triton compiles for pointers and numbers that are multiples of it, or are not
_INT32 = 2**31


@dataclasses.dataclass(frozen=True)
class PointerStub:
    """Stands for a tensor: to the compiler it is its element type and whether its address is aligned."""

    dtype: Any
    address: int

    def data_ptr(self) -> int:
        """An address of the same alignment."""
        return self.address


@dataclasses.dataclass(frozen=True)
class _Reference:
    """A function of a module, by name."""

    module: str
    name: str

    def found(self) -> Any:
        return getattr(importlib.import_module(self.module), self.name)


@dataclasses.dataclass(frozen=True)
class CompileJob:
    """One call of Triton's compiler. Two launches that it compiles alike give equal `packed` jobs."""

    function: _Reference
    arguments: Mapping[str, Any]
    constants: Mapping[str, Any]
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the function, for messages."""
        return self.function.name

    def packed(self) -> bytes:
        """The job for `unpacked` in a process of the same program."""
        return pickle.dumps(self)

    def compile(self) -> Any:
        """Triton's compiled kernel, which it also puts into its cache. Raises what Triton raises."""
        constants = {name: _with_functions(value) for name, value in self.constants.items()}
        return self.function.found().warmup(
            **self.arguments,
            **constants,
            **self.options,
            grid=(1,),
        )


def unpacked(packed: bytes) -> CompileJob:
    """The job of `packed`. Never of bytes from elsewhere: they can run anything."""
    job: CompileJob = pickle.loads(packed)
    return job


def jobs_of(launch: Launch) -> Iterator[CompileJob]:
    """A job for each kernel of a launch."""
    for before in launch.before:
        yield from jobs_of(before)
    yield CompileJob(
        function=_reference(launch.function),
        arguments={name: _stub(value) for name, value in launch.arguments.items()},
        constants={name: _without_functions(value) for name, value in launch.constants.items()},
        options=launch.options,
    )


def _stub(value: Any) -> Any:
    """What the compiler sees of an argument, the same for all that it treats alike."""
    if hasattr(value, "data_ptr"):
        return PointerStub(value.dtype, value.data_ptr() % _POINTER_GRAIN)
    if isinstance(value, int) and not isinstance(value, bool):
        return _number_stub(value)
    if isinstance(value, float):
        return 0.5
    if hasattr(value, "base") and hasattr(value, "block_shape"):  # a descriptor of a tensor
        twin = copy(value)
        twin.base = _stub(value.base)
        return twin
    return value


def _number_stub(number: int) -> int:
    """Triton tells 1, multiples of 16 and others apart, in 32 bits or in 64."""
    if number == 1:
        return 1
    size = 2 * _INT32 if abs(number) >= _INT32 else _POINTER_GRAIN
    return size + (number % _POINTER_GRAIN != 0)


def _reference(function: Any) -> _Reference:
    return _Reference(function.fn.__module__, function.fn.__name__)


def _without_functions(value: Any) -> Any:
    """A constant that is a function of Triton's goes by name."""
    return _reference(value) if hasattr(value, "fn") and hasattr(value, "warmup") else value


def _with_functions(value: Any) -> Any:
    return value.found() if isinstance(value, _Reference) else value
