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
from tensordyno.engines.torch_cuda import CudaOptions, choose_algorithms, cuda_step, release_memory
from tensordyno.engines.torch_settings import EXTRA, dtype_of, torch_receipt
from tensordyno.engines.torch_step import Network, Placement, torch_step
from tensordyno.models.base import PreparedModel
from tensordyno.records.build import Receipt
from tensordyno.timing.step import filled
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
    resizes: ClassVar[frozenset[str]] = frozenset({"cuda"})
    precisions: ClassVar[Precisions] = {
        "cpu": frozenset({Precision.FP32, Precision.BF16, Precision.FP16}),
        "cuda": frozenset({Precision.FP32, Precision.TF32, Precision.BF16, Precision.FP16}),
    }
    refusals: ClassVar[Refusals] = {
        "cpu": {Precision.INT8: _NO_INT8 + "; torch-compile does, with kernels of oneDNN"},
        "cuda": {Precision.INT8: _NO_INT8 + "; forge has them: --engine forge"},
    }

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self.layout = CONTIGUOUS
        self.module: torch.nn.Module | None = None
        self.network: Network | None = None
        self.on_cuda = setup.device.startswith("cuda")
        self.graph = False  # a batch is the replay of one CUDA graph
        self._algorithms = ""

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

    def choose_algorithms(self, probe_s: float | None = None) -> None:
        """On a GPU, how cuDNN picks its algorithms for this batch size; before the batch first runs.

        `probe_s` is the time of a batch of `torch_cuda.PROBE_BATCH` images in seconds, if that is known.
        """
        if self.on_cuda:
            options, size = cast(CudaOptions, self.options), self.setup.batch_size
            self._algorithms = choose_algorithms(options, size, probe_s)

    @memory_errors()
    def bind(self, images: FloatArray, boundary: Boundary) -> Step:
        """A step over `images`; raises MemoryError when memory runs out."""
        assert self.network is not None, "compile before bind"
        size = self.setup.batch_size
        if self.on_cuda:
            return cuda_step(
                self.network,
                images,
                self.placement(),
                boundary,
                batch_size=size,
                graph=self.graph,
                options=cast(CudaOptions, self.options),
            )
        return torch_step(self.network, filled(images, size), self.placement(), boundary is Boundary.HOST)

    @memory_errors()
    def answer(self, images: FloatArray) -> FloatArray:
        """Logits of one batch by the same network; on a GPU without pinned buffers and graphs."""
        if not self.on_cuda:
            return super().answer(images)
        import torch

        assert self.network is not None, "compile before answer"
        with torch.inference_mode():
            placed = self.placement().placed(images, self.setup.batch_size)
            logits: FloatArray = self.network(placed).float().cpu().numpy()
        return logits

    def release(self) -> None:
        """Empty PyTorch's cache of device memory."""
        if self.on_cuda:
            release_memory(self.setup.device)

    def peak_device_bytes(self) -> int | None:
        """Most memory that PyTorch held on the GPU, cached blocks included: others could not have used it."""
        if not self.on_cuda:
            return None
        import torch

        return int(torch.cuda.max_memory_reserved(self.setup.device))

    def device_choices(self) -> dict[str, str]:
        """What was decided for a GPU; empty on the CPU."""
        if not self.on_cuda:
            return {}
        graph = {"CUDA graph": "yes"} if self.graph else {}
        return {"cuDNN": self._algorithms, **graph}

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
