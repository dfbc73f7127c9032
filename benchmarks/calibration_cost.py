"""What calibrating costs: time over the plain FP32 pass, memory, all methods over one, quantize_static.

Each round runs the plain pass (ONNX Runtime, all optimisations, the batch as it comes), ours, and the
plain one again; opening our sessions counts as ours. Memory is measured in processes of their own, at two
numbers of images. ONNX Runtime's entropy calibration runs on few images: it keeps all
activations of all of them.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import finish, parser

from tensordyno.datasets.base import FloatArray
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.methods.base import METHODS, method
from tensordyno.quantize.observe import observe
from tensordyno.quantize.placement import place
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.vocabulary import Precision

THREADS = len(os.sched_getaffinity(0))
POOL = 2  # batches made beforehand and used in turn: making images is nobody's cost


class Images:
    """Batches of noise as a network's input."""

    def __init__(self, shape: tuple[int, ...], batch: int, count: int) -> None:
        random = np.random.default_rng(0)
        self._pool = [random.standard_normal((batch, *shape), dtype=np.float32) for _ in range(POOL)]
        self._count = count

    def __iter__(self) -> Iterator[FloatArray]:
        size = len(self._pool[0])
        for number, start in enumerate(range(0, self._count, size)):
            yield self._pool[number % POOL][: self._count - start]


def plain_session(path: Path) -> Any:
    """The FP32 network as the onnxruntime engine runs it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def interleaved(path: Path, images: Images) -> dict[str, float]:
    """Seconds of our pass, and of the plain one before and after it, over the same images."""
    session = plain_session(path)
    for batch in images:
        session.run(["logits"], {"images": batch})
        break
    graph = open_graph(path)
    tensors = place(graph).tensors
    before_s = plain_s(session, images)
    start = time.perf_counter()
    found = observe(graph, tensors, images, THREADS)
    ours_s = time.perf_counter() - start
    plain = (before_s + plain_s(session, images)) / 2
    return {"plain_s": plain, "ours_s": ours_s, **methods_s(found)}


def plain_s(session: Any, images: Images) -> float:
    """Seconds of running the FP32 network on all images once."""
    start = time.perf_counter()
    for batch in images:
        session.run(["logits"], {"images": batch})
    return time.perf_counter() - start


def methods_s(found: dict[str, Histogram]) -> dict[str, float]:
    """Seconds each method takes for all tensors."""
    spent = {}
    for name in METHODS.names():
        threshold = method(name)
        start = time.perf_counter()
        for histogram in found.values():
            threshold(histogram)
        spent[f"{name}_s"] = time.perf_counter() - start
    return spent


def alone(path: Path, images: Images) -> None:
    """Our pass and nothing else, for its memory."""
    graph = open_graph(path)
    observe(graph, place(graph).tensors, images, THREADS)


def static(path: Path, images: Images) -> None:
    """ONNX Runtime's own entropy calibration, with the number formats that are fast on x86."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter(images)

        def get_next(self) -> dict[str, FloatArray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch}

    with tempfile.TemporaryDirectory() as folder:
        quantize_static(
            path,
            Path(folder) / "int8.onnx",
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Entropy,
        )


def child(kind: str, path: Path, shape: tuple[int, ...], batch: int, count: int) -> dict[str, float]:
    """One of the functions above in a process of its own: its figures, its seconds and its peak memory."""
    command = [sys.executable, __file__, "--child", kind, str(path), json.dumps([shape, batch, count])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(kind, answer, file=sys.stderr, flush=True)  # the rounds take minutes: nothing of them is lost
    return answer


def as_child(kind: str, path: str, numbers: str) -> None:
    """Do what `child` asks for."""
    shape, batch, count = json.loads(numbers)
    images = Images(tuple(shape), batch, count)
    start = time.perf_counter()
    figures = {"interleaved": interleaved, "alone": alone, "static": static}[kind](Path(path), images) or {}
    seconds = time.perf_counter() - start
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**figures, "seconds": seconds, "peak_bytes": peak_bytes}))


def methods_together(round_: dict[str, float]) -> float:
    """One pass and all methods, over one pass and the entropy method."""
    every = sum(round_[f"{name}_s"] for name in METHODS.names())
    return (round_["ours_s"] + every) / (round_["ours_s"] + round_["entropy_s"])


def main() -> None:
    """Rounds of the interleaved comparison, then memory, then quantize_static."""
    if sys.argv[1:2] == ["--child"]:
        as_child(*sys.argv[2:])
        return
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="resnet50")
    arguments.add_argument("--images", type=int, default=1250)
    arguments.add_argument("--batch", type=int, default=25)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument(
        "--static-batches",
        type=int,
        default=2,
        help="whole batches for quantize_static, which takes no part of one; 0: leave it out",
    )
    options = arguments.parse_args()
    trial = Trial(
        id="calibration",
        model=options.model,
        engine=EngineChoice(name="onnxruntime"),
        precision=Precision.FP32,
        batch_size=options.batch,
        threads=THREADS,
    )
    with tempfile.TemporaryDirectory() as logs:
        path = Path(PreparedModels(Path(logs), 600).folder_for(trial)) / "model.onnx"
    shape = tuple(plain_session(path).get_inputs()[0].shape[1:])
    rounds = [child("interleaved", path, shape, options.batch, options.images) for _ in range(options.rounds)]
    memory = {
        count: child("alone", path, shape, options.batch, count)["peak_bytes"]
        for count in (max(1, options.images // 4), options.images)
    }
    figures: dict[str, Any] = {
        "model": options.model,
        "images": options.images,
        "batch_size": options.batch,
        "calibration_over_plain_pass": statistics.median(r["ours_s"] / r["plain_s"] for r in rounds),
        "goal_calibration_over_plain_pass": 1.3,
        "all_methods_over_one": statistics.median(methods_together(r) for r in rounds),
        "goal_all_methods_over_one": 1.1,
        "peak_bytes_by_images": memory,
        "goal_peak_bytes": 1.5e9,
        "rounds": rounds,
    }
    if options.static_batches:
        few = (path, shape, options.batch, options.static_batches * options.batch)
        theirs, ours = child("static", *few), child("alone", *few)
        figures["quantize_static_entropy"] = {
            "images": options.static_batches * options.batch,
            "theirs": theirs,
            "ours": ours,
            "their_time_over_ours": theirs["seconds"] / ours["seconds"],
            "their_memory_over_ours": theirs["peak_bytes"] / ours["peak_bytes"],
        }
    finish(figures, options.out)


if __name__ == "__main__":
    main()
