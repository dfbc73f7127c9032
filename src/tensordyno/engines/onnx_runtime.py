"""ONNX Runtime; its execution provider is a parameter."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, ClassVar, cast

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
from tensordyno.engines.device_facts import device_name
from tensordyno.engines.framework import framework
from tensordyno.engines.onnx_layers import count_layers
from tensordyno.engines.onnx_runtime_cuda import (
    TENSORRT,
    Search,
    misplaced,
    nodes_by_provider,
    preload,
    remedy,
    session_refusal,
    strictness,
    tensorrt_major,
)
from tensordyno.engines.onnx_runtime_provider import Provider, Wishes, provider_for
from tensordyno.engines.onnx_runtime_step import DeviceStep, HostStep
from tensordyno.engines.out_of_memory import is_out_of_memory, memory_errors
from tensordyno.errors import Unsupported
from tensordyno.models.base import BATCH_AXIS, PreparedModel
from tensordyno.quantize.base import Form
from tensordyno.records.build import Receipt
from tensordyno.timing.step import filled
from tensordyno.vocabulary import Boundary, Precision

NAME = "onnxruntime"

_OPTIMIZED = "optimized.onnx"
_IN_FLOAT32 = "ONNX Runtime's CPU provider has no {} kernels for these networks: it would compute in float32"


class OnnxRuntimeOptions(EngineOptions, frozen=True, kw_only=True):
    """`provider` in full ("CUDAExecutionProvider") or as cpu, cuda, tensorrt; None: the device's own.

    On CUDA `search` is how cuDNN's algorithms are chosen, `nhwc` that convolutions get channels last.
    """

    provider: str | None = None
    provider_options: dict[str, Any] = msgspec.field(default_factory=dict)
    search: Search = "exhaustive"
    nhwc: bool = False


class OnnxRuntime(Engine):
    """An inference session with every graph optimisation and a fixed batch size.

    ONNX Runtime reads and optimises a file in one call, which counts as compile; load takes no time.
    """

    name = NAME
    summary = "ONNX Runtime; the CPU, CUDA or TensorRT provider"
    extra = "onnxruntime"
    packages = ("onnxruntime",)
    resizes = frozenset({"cuda"})
    precisions: ClassVar[Precisions] = {
        "cpu": frozenset({Precision.FP32, Precision.INT8}),
        "cuda": frozenset({Precision.FP32, Precision.TF32, Precision.FP16, Precision.INT8}),
    }
    refusals: ClassVar[Refusals] = {
        "cpu": {
            Precision.BF16: _IN_FLOAT32.format("bf16"),
            Precision.FP16: _IN_FLOAT32.format("fp16"),
        },
        "cuda": {Precision.BF16: "ONNX Runtime has no conversion of a float32 network to bf16"},
    }
    Options = OnnxRuntimeOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self._options = cast(OnnxRuntimeOptions, options)
        self.activations = Form.UINT8 if setup.device == "cpu" else Form.INT8
        self._model: Path | None = None
        self._provider: Provider | None = None
        self._session: Any = None
        self._optimized: TemporaryDirectory[str] | None = None

    def receipt(self) -> Receipt:
        """Import ONNX Runtime and look for the provider. Raises Unsupported when it is not there."""
        ort = framework("onnxruntime", self.extra)
        ort.disable_telemetry_events()
        self._check_precision()
        self._provider = self._choose_provider(ort)
        os.environ.update(self._provider.environment())
        if self._provider.kind == "cuda":
            preload(ort, tensorrt=self._provider.name == TENSORRT)
        return Receipt(
            engine=self.name,
            version=ort.__version__,
            device=device_name(self.setup.device),
            provider=self._provider.name,
            threads=self.setup.threads,
            build_flags=ort.get_build_info().removeprefix("ORT Build Info: "),
            libraries=self._libraries(ort),
            settings={
                "providers available": ", ".join(ort.get_available_providers()),
                "graph optimisation": "all",
                "inter-op threads": "1",
                **self._provider.options(),
            },
        )

    @memory_errors()
    def load(self, model: PreparedModel) -> None:
        """Take the file; write it in fp16 where the provider runs the graph's own types.

        Raises MissingPackage when the conversion's library is not there, MemoryError.
        """
        assert self._provider is not None, "receipt before load"
        half = self._provider.converts_graph
        self._model = _half_precision(model.onnx, self.setup.cache, self.extra) if half else model.onnx

    @memory_errors()
    def compile(self, example: FloatArray) -> None:
        """Read and optimise the graph for this batch size.

        Raises Unsupported when another provider would run it or its batch size is fixed, MemoryError.
        """
        import onnxruntime as ort

        provider = self._provider
        assert provider is not None and self._model is not None, "load before compile"
        options = self._with_account(self._session_options(ort))
        try:
            self._session = ort.InferenceSession(
                str(self._model),
                sess_options=options,
                providers=[(provider.name, provider.options())],
                enable_fallback=0,
            )
        except Exception as error:
            refused = session_refusal(error, provider.name, provider.tensorrt)
            if refused is None or is_out_of_memory(error):
                raise
            raise refused from error
        self._check_session(example)

    @memory_errors()
    def bind(self, images: FloatArray, boundary: Boundary) -> Step:
        """A step over `images`; raises MemoryError when memory runs out."""
        assert self._session is not None and self._provider is not None, "compile before bind"
        images = filled(images, self.setup.batch_size)
        if boundary is Boundary.HOST:
            return HostStep(self._session, images)
        return DeviceStep(self._session, images, self._provider.kind, self._provider.index)

    def arithmetic(self) -> dict[str, int]:
        """Layers with weights in the optimised graph of this session, for INT8; empty for all else."""
        if self._optimized is None:
            return {}
        return count_layers(Path(self._optimized.name) / _OPTIMIZED, framework("onnx", self.extra))

    def release(self) -> None:
        """Let go of the session, its memory and the account it wrote; the file to read again is known."""
        self._session = None
        if self._optimized is not None:
            self._optimized.cleanup()
            self._optimized = None

    def close(self) -> None:
        """Let go of the session and its threads."""
        self.release()

    def _choose_provider(self, ort: ModuleType) -> Provider:
        asked = self._options
        wishes = Wishes(
            provider=asked.provider, options=asked.provider_options, search=asked.search, nhwc=asked.nhwc
        )
        available, folder = ort.get_available_providers(), Path(str(ort.__file__)).parent
        major = tensorrt_major(folder) if TENSORRT in available else None
        return provider_for(wishes, self.setup.device, self.setup.precision, available, major)

    def _libraries(self, ort: ModuleType) -> dict[str, str]:
        assert self._provider is not None
        found = {
            "CUDA": str(getattr(ort, "cuda_version", "") or ""),
            "TensorRT": str(self._provider.tensorrt or ""),
        }
        return {name: version for name, version in found.items() if version and self._provider.kind == "cuda"}

    def _with_account(self, options: Any) -> Any:
        """Let the session write down the graph that it will run: the proof of an INT8 label.

        It costs the writing of the weights, so the other precisions, which have other proofs, go without.
        """
        assert self._provider is not None
        if self.setup.precision is Precision.INT8 and self._provider.shows_graph:
            self._optimized = TemporaryDirectory(prefix="dyno-onnxruntime-")
            options.optimized_model_filepath = str(Path(self._optimized.name) / _OPTIMIZED)
        return options

    def _session_options(self, ort: ModuleType) -> Any:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = self.setup.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        options.add_free_dimension_override_by_name(BATCH_AXIS, self.setup.batch_size)
        if self._provider is not None and self._provider.kind != "cpu":
            for key, value in strictness(ort.InferenceSession).items():
                options.add_session_config_entry(key, value)
        return options

    def _check_precision(self) -> None:
        why = self.refusal(device_kind(self.setup.device), self.setup.precision)
        if why:
            raise Unsupported(f"{why}.")

    def _check_session(self, example: FloatArray) -> None:
        assert self._provider is not None
        runs = self._session.get_providers()[0]
        if runs != self._provider.name:
            raise Unsupported(
                f"ONNX Runtime could not start {self._provider.name}; {runs} would run instead.",
                remedy(self._provider.name, self._provider.tensorrt),
            )
        elsewhere = misplaced(nodes_by_provider(self._session), runs) if self._provider.kind != "cpu" else ""
        if elsewhere:
            raise Unsupported(elsewhere)
        shape = self._session.get_inputs()[0].shape
        batch = [self.setup.batch_size, *example.shape[1:]]  # the example may hold fewer images
        fixed = [have for have, want in zip(shape, batch, strict=True) if have != want]
        if any(isinstance(axis, int) for axis in fixed):
            raise Unsupported(f"This ONNX graph takes {shape}, and the batch is {batch}.")


MEMBER = OnnxRuntime


def _half_precision(source: Path, cache: Path, extra: str) -> Path:
    """The graph with fp16 weights and arithmetic, and float32 at its edges, as a file in `cache`."""
    onnx = framework("onnx", extra)
    float16 = framework("onnxruntime.transformers.float16", extra)
    graph = float16.convert_float_to_float16(onnx.load(source), keep_io_types=True)
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"{source.stem}.fp16.onnx"
    onnx.save(graph, target)
    return target
