"""Forge, our own compiler: the ONNX file as kernels for one NVIDIA GPU, each chosen by timing it there."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import msgspec

from tensordyno.device import device_kind
from tensordyno.engines.base import (
    Engine,
    EngineOptions,
    EngineSetup,
    FloatArray,
    Precisions,
    Refusals,
    Step,
)
from tensordyno.engines.forge_step import answers, forge_step
from tensordyno.engines.framework import framework
from tensordyno.engines.out_of_memory import memory_errors
from tensordyno.engines.torch_cuda import release_memory
from tensordyno.engines.torch_settings import torch_receipt
from tensordyno.errors import Unsupported
from tensordyno.models.base import PreparedModel
from tensordyno.quantize.base import Form
from tensordyno.records.build import Receipt
from tensordyno.units import with_unit
from tensordyno.vocabulary import Boundary, Precision

if TYPE_CHECKING:
    from tensordyno.forge.devices import Device
    from tensordyno.forge.graph import Node
    from tensordyno.forge.program import Program
    from tensordyno.forge.runtime import Executable
    from tensordyno.forge.selection import Selected
    from tensordyno.forge.weights import Weights

_EXTRA = "forge"
_OLDEST = (8, 0)  # compute capability: bf16, tf32 and copies past the registers came with it
_NO_CPU = "forge compiles for NVIDIA GPUs"


class ForgeOptions(EngineOptions, frozen=True, kw_only=True):
    """`search` false takes the likeliest kernel of each operation untimed: quick to build, slower to run.

    `cuda_graph` replays each batch as one CUDA graph. `queue`: batches in flight, 0 for one on the device
    boundary and two (one is copied while one computes) on the host boundary. `exact` makes every rounding
    that a Q/DQ file asks for, also of a residual branch before it is added.
    """

    search: bool = True
    exact: bool = False
    cuda_graph: bool = True
    queue: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0


class Forge(Engine):
    """One program for all batch sizes; kernels are chosen and memory laid out for each."""

    name = "forge"
    summary = "our own compiler for NVIDIA GPUs, kernels in Triton and Gluon chosen by timing"
    extra = _EXTRA
    packages = ("torch", "triton")
    resizes: ClassVar[frozenset[str]] = frozenset({"cuda"})
    keeps_for_all = True  # a choice is kept under shapes, and networks have many in common
    activations = Form.INT8
    precisions: ClassVar[Precisions] = {
        "cpu": frozenset(),
        "cuda": frozenset({Precision.INT8, Precision.FP16, Precision.BF16, Precision.TF32, Precision.FP32}),
    }
    refusals: ClassVar[Refusals] = {
        "cpu": dict.fromkeys(Precision, _NO_CPU),
        "cuda": {Precision.FP8: "forge has no fp8 kernels"},
    }
    Options = ForgeOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self._options = cast(ForgeOptions, options)
        self._device: Device | None = None
        self._program: Program | None = None
        self._weights: Weights | None = None
        self._selected: Selected | None = None
        self._selecting_s = 0.0
        self._made: Executable | None = None  # by `compile`, for the first step
        self._answering: Executable | None = None  # apart from all steps, which keep their images

    def receipt(self) -> Receipt:
        """Import PyTorch and Triton, open the GPU and make it the process's own.

        Raises MissingPackage, or Unsupported when there is no such GPU, or one that is too old.
        """
        if why := self.refusal(device_kind(self.setup.device), self.setup.precision):
            raise Unsupported(f"{why}.")
        framework("triton", _EXTRA)
        setup = self.setup
        told = torch_receipt(self.name, setup.device, setup.precision, setup.threads)
        self._device = _opened(setup.device)
        return _as_forge(told)

    @memory_errors()
    def load(self, model: PreparedModel) -> None:
        """Read the graph, fold and fuse it, and give every tensor its place.

        Raises MissingPackage, DataError for what forge does not read, Unsupported for what it cannot compile,
        an int8 network without integers among it; the node is named.
        """
        from tensordyno.forge.engine_build import program_of
        from tensordyno.forge.onnx_reader import read_graph
        from tensordyno.forge.simplify import simplify

        target = self._opened_device().target
        self._program = program_of(
            simplify(read_graph(model.onnx), exact=self._options.exact), self.setup.precision, target
        )

    @memory_errors()
    def compile(self, example: FloatArray) -> None:
        """Choose the kernels for this batch size and make them ready.

        Raises Unsupported for an operation without a kernel, and for batches of 2**31 elements and more a
        tensor; MemoryError when memory runs out.
        """
        from tensordyno.forge.memory_plan import memory_plan
        from tensordyno.forge.weights import Weights

        device, program = self._opened_device(), self._loaded()
        memory_plan(program, self.setup.batch_size)  # too large a batch is known before any kernel runs
        self._weights = self._weights or Weights(device.torch)
        begun_s = self.setup.clock.now()
        self._selected = self._select(self._weights)
        self._selecting_s = self.setup.clock.now() - begun_s
        release_memory(self.setup.device)  # the peak is to be this batch's, not the selection's
        self._made = self._executable()

    @memory_errors()
    def bind(self, images: FloatArray, boundary: Boundary) -> Step:
        """A step with memory of its own; raises MemoryError when memory runs out."""
        executable, self._made = self._made or self._executable(), None
        graph, queue = self._options.cuda_graph, self._options.queue
        return forge_step(executable, images, self.setup.device, boundary, graph=graph, queue=queue)

    @memory_errors()
    def answer(self, images: FloatArray) -> FloatArray:
        """Logits of one batch by the same kernels, in memory apart from every step's."""
        self._answering = self._answering or self._executable()
        return answers(self._answering, images, self.setup.device)

    def choices(self) -> dict[str, str]:
        """How many operations each kernel computes, and whether the selection had to be timed."""
        if self._selected is None:
            return {}
        chosen, selections = self._selected.choices[self.setup.batch_size], self._selected.selections
        kernels = Counter(part.kernel for each in chosen for part in each.parts or (each,))
        counts = ", ".join(f"{name} {count}" for name, count in kernels.most_common())
        timed = sum(not each.kept for each in selections)
        how = f"{timed} of {len(selections)} timed" if timed else f"all {len(selections)} kept"
        if not self._options.search:
            how = "the likeliest, untimed"
        graph = {"CUDA graph": "yes"} if self._options.cuda_graph else {}
        return {"kernels": counts, "selection": f"{how}, {with_unit(self._selecting_s, 's')}", **graph}

    def arithmetic(self) -> dict[str, int]:
        """Convolutions and matrix products of the compiled program by the format they multiply in."""
        operations = () if self._program is None else self._program.operations
        layers: Counter[str] = Counter()
        for each in operations:
            layers[each.precision.value] += _products(each.node)
        return dict(+layers)

    def release(self) -> None:
        """Let go of what was made for this batch size; weights stay."""
        self._made = self._answering = None
        if self._device is not None:
            release_memory(self.setup.device)

    def peak_device_bytes(self) -> int | None:
        """Most memory that PyTorch held on the GPU, cached blocks included: others could not have used it."""
        if self._device is None:
            return None
        import torch

        return int(torch.cuda.max_memory_reserved(self.setup.device))

    def close(self) -> None:
        """Let go of everything."""
        self._made = self._answering = self._program = self._weights = None

    def _select(self, weights: "Weights") -> "Selected":
        """A kernel for every operation of this batch size; `weights` then hold what these want."""
        from tensordyno.forge.candidates import candidates
        from tensordyno.forge.selection import Selected, select

        device, program, size = self._opened_device(), self._loaded(), self.setup.batch_size
        if self._options.search:
            return select(program, (size,), device, weights, self.setup.cache)
        likeliest = [candidates(each, size, device.target)[0] for each in program.operations]
        ways = zip(likeliest, program.operations, strict=True)
        weights.keep_only(used for way, operation in ways for used in way.used(operation))
        return Selected(choices={size: tuple(each.chosen() for each in likeliest)}, selections=())

    def _executable(self) -> "Executable":
        """The program for this batch size, with memory of its own and kernels loaded."""
        import torch

        from tensordyno.forge.compiled_kernels import prepare
        from tensordyno.forge.runtime import Executable

        device, program = self._opened_device(), self._loaded()
        assert self._weights is not None and self._selected is not None, "compile before bind"
        size = self.setup.batch_size
        made = Executable(program, size, self._selected.choices[size], device, self._weights)
        prepare(made.launches, device)
        torch.cuda.synchronize(self.setup.device)  # steps run on streams of their own
        return made

    def _opened_device(self) -> "Device":
        assert self._device is not None, "receipt before load"
        return self._device

    def _loaded(self) -> "Program":
        assert self._program is not None, "load before compile"
        return self._program


def _products(node: "Node") -> int:
    """How many layers with weights an operation is: one, or those that a fused one is made of."""
    from tensordyno.forge.graph import Convolution
    from tensordyno.forge.parts import layers_of

    return sum(isinstance(layer, Convolution) for layer in layers_of(node))


def _opened(name: str) -> "Device":
    """The GPU, which kernels are launched on from now on. Raises Unsupported for one that is too old."""
    import torch

    from tensordyno.forge.devices import open_device

    device = open_device(name)
    if device.target.capability < _OLDEST:
        has, needs = (".".join(map(str, each)) for each in (device.target.capability, _OLDEST))
        raise Unsupported(
            f"{device.name} has compute capability {has}, and forge's kernels need {needs} (Ampere) or later."
        )
    torch.cuda.set_device(device.torch)
    return device


def _as_forge(told: Receipt) -> Receipt:
    """PyTorch's receipt with forge's own version; PyTorch is a library of it."""
    from tensordyno.forge.version import forge_version, triton_version

    libraries = {"Triton": triton_version(), "PyTorch": told.version}
    libraries |= {name: version for name, version in told.libraries.items() if name == "CUDA"}
    return msgspec.structs.replace(told, version=forge_version(), libraries=libraries)


MEMBER = Forge
