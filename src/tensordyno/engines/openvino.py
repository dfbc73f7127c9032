"""OpenVINO on the CPU, with its precision asked for and checked."""

import sys
from collections import Counter
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec

from tensordyno.engines.base import Engine, EngineOptions, EngineSetup, FloatArray, Precisions, Step
from tensordyno.engines.device_facts import cpu_name
from tensordyno.engines.framework import framework
from tensordyno.engines.openvino_layers import layer_formats
from tensordyno.engines.openvino_step import DeviceStep, HostStep, PipelinedStep, Slot
from tensordyno.engines.out_of_memory import memory_errors
from tensordyno.errors import Unsupported
from tensordyno.models.base import PreparedModel
from tensordyno.quantize.base import Form
from tensordyno.records.build import Receipt
from tensordyno.timing.step import filled
from tensordyno.vocabulary import Boundary, Precision

# What is asked for by name; in a Q/DQ network that is the part left in floating point.
_TYPES = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.FP16: "f16", Precision.INT8: "f32"}
_CAPABILITIES = {kind: str(kind).upper() for kind in _TYPES}


class OpenVinoOptions(EngineOptions, frozen=True, kw_only=True):
    """`hint` "throughput" keeps several requests in flight; `streams` overrides the hint's number."""

    hint: Literal["latency", "throughput"] = "latency"
    streams: Annotated[int, msgspec.Meta(ge=1)] | None = None


class OpenVino(Engine):
    """A model compiled for the CPU plug-in at a fixed batch size, without model caching."""

    name = "openvino"
    summary = "OpenVINO's CPU plug-in; latency or throughput hint"
    extra = "openvino"
    packages = ("openvino",)
    activations = Form.RECTIFIED
    precisions: ClassVar[Precisions] = {"cpu": frozenset(_TYPES)}
    Options = OpenVinoOptions

    def __init__(self, setup: EngineSetup, options: EngineOptions) -> None:
        super().__init__(setup, options)
        self._options = cast(OpenVinoOptions, options)
        self._plugin: Any = None
        self._model: Any = None
        self._compiled: Any = None
        self._requests = 1
        self._choices: dict[str, str] = {}
        self._formats: Counter[str] = Counter()

    def receipt(self) -> Receipt:
        """Import OpenVINO and ask its CPU plug-in for the precision. Raises Unsupported."""
        # Importing openvino sends a usage report unless its telemetry package cannot be imported.
        sys.modules.setdefault("openvino_telemetry", cast(Any, None))
        ov = framework("openvino", self.extra)
        if self.setup.device != "cpu":
            raise Unsupported(f"OpenVINO runs on cpu devices here, not on '{self.setup.device}'.")
        self._plugin = ov.Core()
        can = self._plugin.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if self.setup.precision not in _TYPES or _CAPABILITIES[self.setup.precision] not in can:
            raise Unsupported(
                f"OpenVINO has no {self.setup.precision} kernels for this CPU (it offers {', '.join(can)})."
            )
        version = ov.get_version()
        return Receipt(
            engine=self.name,
            version=version.partition("-")[0],
            device=cpu_name(),
            provider="CPU",
            threads=self.setup.threads,
            build_flags=version,
            settings={key: str(value) for key, value in self._properties().items()},
        )

    @memory_errors()
    def load(self, model: PreparedModel) -> None:
        """Read the graph. Raises MemoryError."""
        assert self._plugin is not None, "receipt before load"
        self._model = self._plugin.read_model(model.onnx)

    @memory_errors()
    def compile(self, example: FloatArray) -> None:
        """Fix the batch size and compile.

        Raises Unsupported when the plug-in chose another precision than was asked for, MemoryError.
        """
        assert self._model is not None, "load before compile"
        self._model.reshape([self.setup.batch_size, *example.shape[1:]])
        self._compiled = self._plugin.compile_model(self._model, "CPU", self._properties())
        several = self._options.hint == "throughput" or self._options.streams is not None
        if several:
            self._requests = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._formats = layer_formats(self._compiled)
        self._choices = self._decided()

    @memory_errors()
    def bind(self, images: FloatArray, boundary: Boundary) -> Step:
        """A step over `images`; raises MemoryError when memory runs out."""
        assert self._compiled is not None, "compile before bind"
        copies, batch = boundary is Boundary.HOST, filled(images, self.setup.batch_size)
        slots = [Slot(self._compiled, batch, copies) for _ in range(self._requests)]
        if len(slots) > 1:
            return PipelinedStep(slots, copies)
        return HostStep(slots[0]) if copies else DeviceStep(slots[0])

    def choices(self) -> dict[str, str]:
        """Streams, requests in flight, threads and the precision that the compiled model runs in."""
        return self._choices

    def arithmetic(self) -> dict[str, int]:
        """Layers by the format they run in, from the execution graph of the compiled model."""
        return dict(self._formats)

    def close(self) -> None:
        """Let go of the compiled model and its threads."""
        self._compiled = self._model = self._plugin = None

    def _properties(self) -> dict[str, Any]:
        streams = {} if self._options.streams is None else {"NUM_STREAMS": self._options.streams}
        return {
            "PERFORMANCE_HINT": self._options.hint.upper(),
            "INFERENCE_PRECISION_HINT": _TYPES[self.setup.precision],
            "INFERENCE_NUM_THREADS": self.setup.threads,
            "CACHE_DIR": "",  # a cached model would make compile time a lie
            **streams,
        }

    def _decided(self) -> dict[str, str]:
        told = self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        ran, asked = self._formats, self.setup.precision
        # Whether a Q/DQ network runs in INT8 is judged by the number of layers, by whoever knows that.
        none = asked is not Precision.INT8 and ran and not ran[asked]
        if told != _TYPES[asked] or none:
            counts = ", ".join(f"{count} layers in {kind}" for kind, count in ran.most_common())
            raise Unsupported(f"OpenVINO was asked for {asked} and would compute in {told} ({counts}).")
        return {
            "streams": str(self._compiled.get_property("NUM_STREAMS")),
            "requests in flight": str(self._requests),
            "threads": str(self._compiled.get_property("INFERENCE_NUM_THREADS")),
        }


MEMBER = OpenVino
