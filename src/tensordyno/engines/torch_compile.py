"""PyTorch compiled by inductor, with frozen weights."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from tensordyno.engines.base import EngineOptions, EngineSetup, FloatArray, Precisions, Refusals
from tensordyno.engines.out_of_memory import is_out_of_memory, memory_errors
from tensordyno.engines.torch_cuda import CudaOptions
from tensordyno.engines.torch_engine import CHANNELS_LAST, TorchEngine
from tensordyno.engines.torch_int8 import int8_layers, read_qdq
from tensordyno.engines.torch_settings import dtype_of
from tensordyno.errors import Unsupported
from tensordyno.models.base import PreparedModel
from tensordyno.quantize.base import Form
from tensordyno.records.build import Receipt
from tensordyno.vocabulary import Precision

if TYPE_CHECKING:
    import torch

NAME = "torch-compile"

_REDUCED = (Precision.BF16, Precision.FP16)


class TorchCompileOptions(CudaOptions, frozen=True, kw_only=True):
    """`freezing` folds weights and batch normalisation into the kernels.

    `layout` "auto" is channels-last: measuring both would mean to compile twice, and on every CPU
    and network measured so far it was the faster one. `mode` is torch.compile's. `cuda_graph` replays each
    batch on a GPU as one CUDA graph of our own, in every mode: inductor's own ones would copy the input.
    """

    freezing: bool = True
    layout: Literal["auto", "channels-last", "contiguous"] = "auto"
    mode: Literal["default", "reduce-overhead", "max-autotune"] = "default"
    cuda_graph: bool = True


class TorchCompile(TorchEngine):
    """The module through torch.compile with static shapes; for INT8 the Q/DQ file as such a module."""

    name = NAME
    summary = "PyTorch compiled by inductor, weights frozen"
    activations = Form.RECTIFIED  # inductor looks for a Relu between convolution and quantization
    precisions: ClassVar[Precisions] = {
        **TorchEngine.precisions,
        "cpu": TorchEngine.precisions["cpu"] | {Precision.INT8},
    }
    refusals: ClassVar[Refusals] = {
        "cuda": {
            Precision.INT8: "PyTorch's inductor compiles Q/DQ networks to INT8 kernels for CPUs only; "
            "forge has them: --engine forge"
        }
    }
    Options = TorchCompileOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self._options = cast(TorchCompileOptions, options)
        # Frozen weights are cast once while compiling, after batch normalisation was folded in float32:
        # as fast as a converted module, and 1.5 dB nearer to the reference on resnet18.
        reduced = setup.precision in _REDUCED
        self._autocast = reduced and setup.device == "cpu" and self._options.freezing
        self.graph = self.on_cuda and self._options.cuda_graph
        self._kernels = setup.cache / "inductor"
        self._layers = 0  # with weights, of a Q/DQ network
        self._choices: dict[str, str] = {}
        self._arithmetic: dict[str, int] = {}

    def receipt(self) -> Receipt:
        """Import PyTorch, apply the settings, look for the compiler that inductor calls.

        Raises Unsupported when there is none.
        """
        if self.setup.precision is Precision.INT8 and not self._options.freezing:
            raise Unsupported(
                "PyTorch's inductor makes INT8 kernels from frozen weights only (freezing=true)."
            )
        receipt = super().receipt()
        compiler = os.environ.get("CXX", "g++")
        if self.setup.device == "cpu" and shutil.which(compiler) is None:
            raise Unsupported(
                f"PyTorch's inductor needs a C++ compiler, and '{compiler}' is not found.",
                "Install g++, or set CXX to another.",
            )
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(self._kernels)
        return receipt

    @memory_errors()
    def load(self, model: PreparedModel) -> None:
        """As the PyTorch engines do; for INT8 the Q/DQ file. Raises Unsupported, MemoryError."""
        if self.setup.precision is not Precision.INT8:
            super().load(model)
            return
        network = read_qdq(model.onnx)
        self.module, self._layers = network.module, network.layers

    @memory_errors()
    def compile(self, example: FloatArray) -> None:
        """Compile by running `example` once.

        Raises Unsupported when inductor compiles nothing or its code does not build here, MemoryError
        when memory runs out.
        """
        import torch

        self.choose_algorithms()
        self.lay_out(CHANNELS_LAST if self._options.layout == "auto" else self._options.layout)
        assert self.module is not None, "load before compile"
        before = _libraries(self._kernels)
        module = _under_autocast(self.module, self.setup.precision) if self._autocast else self.module
        self.network = torch.compile(module, dynamic=False, mode=self._mode())
        with self._compiling(), torch.inference_mode():
            self.network(self.placement().placed(example, self.setup.batch_size))
        self._choices = self._decided(before)
        if self.setup.precision is Precision.INT8:
            ran = int8_layers()
            self._arithmetic = {"int8": ran, "fp32": self._layers - ran}

    def resize(self, batch_size: int) -> None:
        """Compile anew: shapes are static."""
        super().resize(batch_size)
        self._reset()

    def choices(self) -> dict[str, str]:
        """Layout, number of graphs, and whether inductor found its kernels in its cache."""
        return self._choices

    def arithmetic(self) -> dict[str, int]:
        """For INT8: the layers that inductor counted as lowered to oneDNN's INT8 kernels, and the rest."""
        return self._arithmetic

    def close(self) -> None:
        """Let go of the network and of the compiled code."""
        super().close()
        self._reset()

    def weight_dtype(self) -> "torch.dtype":
        """float32 where autocast converts, else the precision's."""
        return dtype_of(Precision.FP32 if self._autocast else self.setup.precision)

    def _mode(self) -> str:
        """Inductor's mode; with CUDA graphs of our own it must not make any itself."""
        asked = self._options.mode
        if not self.graph or asked == "default":
            return asked
        return "default" if asked == "reduce-overhead" else f"{asked}-no-cudagraphs"

    def _reset(self) -> None:
        import torch

        self.network = None
        torch.compiler.reset()

    @contextmanager
    def _compiling(self) -> Iterator[None]:
        import torch._inductor.config
        from torch._dynamo.exc import TorchDynamoException
        from torch._dynamo.utils import counters
        from torch._inductor.exc import CppCompileError

        counters.clear()
        try:
            with torch._inductor.config.patch(freezing=self._options.freezing):
                yield
        except (TorchDynamoException, CppCompileError) as wrong:
            if is_out_of_memory(wrong):
                raise
            why = str(wrong).strip().partition("\n")[0]
            raise Unsupported(f"PyTorch's inductor cannot compile this network here: {why}") from wrong
        if not counters["stats"]["unique_graphs"]:
            raise Unsupported("PyTorch's inductor compiled nothing of this network: it would run eagerly.")

    def _decided(self, before: int) -> dict[str, str]:
        from torch._dynamo.utils import counters

        built = _libraries(self._kernels) - before
        cold = f"cold: {built} libraries built" if built else f"warm: all {before} libraries were there"
        asked = "engine's default" if self._options.layout == "auto" else "asked for"
        decided = {
            "layout": f"{self.layout} ({asked})",
            "graphs": str(counters["stats"]["unique_graphs"]),
            "inductor cache": cold,
        }
        decided |= self.device_choices()
        return decided | ({"conversion": "autocast, folded in float32"} if self._autocast else {})


MEMBER = TorchCompile


def _under_autocast(module: "torch.nn.Module", precision: Precision) -> "torch.nn.Module":
    """`module` with autocast inside it, so that the conversion is compiled with the rest."""
    import torch

    class Autocast(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", dtype_of(precision)):
                return self.inner(images)

    return Autocast().eval()


def _libraries(kernels: Path) -> int:
    """Compiled kernels in inductor's cache: C++ for CPUs, Triton's for GPUs."""
    return sum(1 for pattern in ("*.so", "*.cubin") for _ in kernels.rglob(pattern))
