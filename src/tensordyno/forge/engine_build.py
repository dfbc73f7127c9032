"""From a model to an engine, and from an engine file: what `forge.build` and `forge.load` do."""

from collections.abc import Iterable
from pathlib import Path

from tensordyno.errors import Unsupported, UsageError
from tensordyno.forge.compiled_kernels import put_into_cache
from tensordyno.forge.devices import Device, open_device
from tensordyno.forge.engine import Engine
from tensordyno.forge.engine_file import check_maker, maker_of, read_engine
from tensordyno.forge.fusion import fused_for
from tensordyno.forge.graph import Graph
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.lower import lower
from tensordyno.forge.memory_plan import memory_plan
from tensordyno.forge.onnx_reader import read_graph
from tensordyno.forge.program import Program
from tensordyno.forge.selection import Progress, select, silent
from tensordyno.forge.simplify import simplify
from tensordyno.forge.weights import Weights
from tensordyno.vocabulary import Precision


def build(
    model: Graph | Path | str | bytes,
    precision: Precision | str = Precision.INT8,
    batch_sizes: Iterable[int] = (1,),
    device: str = "cuda",
    cache: Path | None = None,
    on_progress: Progress = silent,
    *,
    exact: bool = False,
) -> Engine:
    """Compile a classifier: an ONNX file (or the bytes of one), FP32 or Q/DQ, or a graph.

    All candidates for each operation are compiled on all cores and timed on the device, once for each batch
    size; with a `cache` folder choices are kept there, and the next build takes them. `precision` is that of
    real numbers; int8 needs a Q/DQ file, whose integers are multiplied, and computes the rest in fp16. With
    `exact` every rounding that the file asks for is made; without, a residual branch is added before it is
    rounded (`simplify`), which is faster and nearer to the network in FP32.
    Raises MissingPackage, DataError of a file (see `read_graph`), Unsupported for what forge cannot compile,
    UsageError (`bad-batch-size`).
    """
    opened = open_device(device)
    graph = (
        model if isinstance(model, Graph) else read_graph(Path(model) if isinstance(model, str) else model)
    )
    return _compiled(
        simplify(graph, exact=exact),
        Precision(precision),
        _sizes(batch_sizes),
        opened,
        cache,
        on_progress,
    )


def load(
    path: Path | str,
    device: str = "cuda",
    *,
    rebuild: bool = False,
    cache: Path | None = None,
    on_progress: Progress = silent,
) -> Engine:
    """The engine of a file. Nothing is compiled or timed.

    With `rebuild` one of another GPU or version is compiled anew for this device, like `build`; the file
    stays what it was. Raises DataError (`bad-engine-file`, and without `rebuild` `engine-of-another-gpu` and
    `engine-of-another-version`), MissingPackage, Unsupported.
    """
    path, opened = Path(path), open_device(device)
    record = read_engine(path)
    if rebuild and record.maker != maker_of(opened):
        sizes = tuple(record.choices)
        return _compiled(record.graph, record.precision, sizes, opened, cache, on_progress)
    check_maker(record, opened, path)
    put_into_cache(record.kernels)
    return Engine(
        graph=record.graph,
        program=program_of(record.graph, record.precision, opened.target),
        precision=record.precision,
        choices=record.choices,
        device=opened,
        weights=Weights(opened.torch),
    )


def _compiled(
    graph: Graph,
    precision: Precision,
    batch_sizes: tuple[int, ...],
    device: Device,
    cache: Path | None,
    on_progress: Progress,
) -> Engine:
    """An engine of a simplified graph."""
    program, weights = program_of(graph, precision, device.target), Weights(device.torch)
    for size in batch_sizes:
        memory_plan(program, size)  # says now which batch is too large for kernels to count
    selected = select(program, batch_sizes, device, weights, cache, on_progress)
    return Engine(
        graph=graph,
        program=program,
        precision=precision,
        choices=selected.choices,
        device=device,
        weights=weights,
        selections=selected.selections,
    )


def program_of(graph: Graph, precision: Precision, target: Target) -> Program:
    """What runs on a target, of a graph from `simplify`; layers are fused where that has kernels for it.

    Raises Unsupported for an int8 engine without integers, and like `lower`.
    """
    program = lower(fused_for(graph, precision, target), precision)
    if precision is Precision.INT8 and not any(each.precision is precision for each in program.operations):
        raise Unsupported(
            "The network has no integers to multiply, so it cannot be an int8 engine.",
            "Quantize it first: dyno quantize MODEL -o FILE.onnx",
        )
    return program


def _sizes(batch_sizes: Iterable[int]) -> tuple[int, ...]:
    sizes = tuple(sorted(set(batch_sizes)))
    if not sizes or sizes[0] < 1:
        raise UsageError("bad-batch-size", "An engine needs batch sizes of 1 or more.", "Give some: 1, 32.")
    return sizes
