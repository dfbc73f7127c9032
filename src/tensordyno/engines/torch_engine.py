"""What the PyTorch engines share: receipt, loading the network's definition, binding a batch."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from tensordyno.engines.base import (
    Engine,
    EngineOptions,
    EngineSetup,
    FloatArray,
    Precisions,
    Refusals,
    Step,
)
from tensordyno.engines.out_of_memory import memory_errors
from tensordyno.engines.torch_settings import EXTRA, dtype_of, torch_receipt
from tensordyno.engines.torch_step import Network, Placement, torch_step
from tensordyno.models.base import PreparedModel
from tensordyno.records.build import Receipt
from tensordyno.vocabulary import Boundary, Precision

if TYPE_CHECKING:
    import torch

_NO_INT8 = "eager PyTorch has no int8 kernels for Q/DQ networks: it would compute in float32"

CHANNELS_LAST = "channels-last"
CONTIGUOUS = "contiguous"


class TorchEngine(Engine):
    """A network in PyTorch; subclasses say how it is compiled and set `network` and `layout`."""

    extra = EXTRA
    packages = ("torch",)
    reads = "module"
    precisions: ClassVar[Precisions] = {
        "cpu": frozenset({Precision.FP32, Precision.BF16, Precision.FP16}),
        "cuda": frozenset({Precision.FP32, Precision.TF32, Precision.BF16, Precision.FP16}),
    }
    refusals: ClassVar[Refusals] = {
        "cpu": {Precision.INT8: _NO_INT8 + "; torch-compile does, with kernels of oneDNN"},
        "cuda": {Precision.INT8: _NO_INT8},
    }

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self.layout = CONTIGUOUS
        self.module: torch.nn.Module | None = None
        self.network: Network | None = None

    def receipt(self) -> Receipt:
        """Import PyTorch and apply threads and number formats."""
        return torch_receipt(self.name, self.setup.device, self.setup.precision, self.setup.threads)

    @memory_errors()
    def load(self, model: PreparedModel) -> None:
        """Build the definition, read the weights, convert them to the precision.

        Raises Unsupported for a network that came as ONNX, MemoryError when memory runs out.
        """
        from tensordyno.models.prepared import load_module

        module = load_module(model).requires_grad_(False)
        self.module = module.to(device=self.setup.device, dtype=self.weight_dtype())

    @memory_errors()
    def bind(self, images: FloatArray, boundary: Boundary) -> Step:
        """A step over `images`; raises MemoryError when memory runs out."""
        assert self.network is not None, "compile before bind"
        return torch_step(self.network, images, self.placement(), boundary is Boundary.HOST)

    def close(self) -> None:
        """Let go of the network."""
        self.network = self.module = None

    def weight_dtype(self) -> "torch.dtype":
        """The dtype that weights are converted to."""
        return dtype_of(self.setup.precision)

    def placement(self) -> Placement:
        """How an input must lie, in the layout that was decided."""
        import torch

        formats = {CHANNELS_LAST: torch.channels_last, CONTIGUOUS: torch.contiguous_format}
        return Placement(device=self.setup.device, dtype=self.weight_dtype(), layout=formats[self.layout])

    def lay_out(self, layout: str) -> None:
        """Reorder the weights in place, and the inputs from now on."""
        assert self.module is not None, "load before compile"
        self.layout = layout
        cast(Any, self.module).to(memory_format=self.placement().layout)  # untyped in PyTorch
