"""Our figures against the engines' own stopwatches: same model, same threads, interleaved in one run.

Each round measures, in shuffled order, one of our bursts and one of the other stopwatch's, on the same
prepared network: OpenVINO's benchmark_app, torch.utils.benchmark, and a bare loop around ONNX Runtime.
A pair counts only when neither side was contended as far as the spin probe can tell.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from record import finish, parser

from tensordyno.analysis.ratio import throughput_ratio
from tensordyno.records.burst import Burst
from tensordyno.records.trial import EngineChoice, Measurement, Trial
from tensordyno.run.contender import Contender, Materials
from tensordyno.run.contention import SpinReference
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.spawn import Worker
from tensordyno.run.team import Team
from tensordyno.vocabulary import Boundary, Precision

BURST_S = 2.0
THREADS = len(os.sched_getaffinity(0))
Stopwatch = Callable[[], float]  # images per second of one measurement


class Child:
    """A foreign stopwatch in a process of its own, asked again and again."""

    def __init__(self, program: str, *arguments: str) -> None:
        command = [sys.executable, "-c", program, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._ask("ready?")

    def __call__(self) -> float:
        """One measurement: images per second."""
        return float(self._ask("go"))

    def _ask(self, word: str) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


BARE_ORT = """
import sys, time, numpy as np, onnxruntime as ort
model, images = sys.argv[1], sys.argv[5]
batch, seconds, threads = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
options = ort.SessionOptions(); options.intra_op_num_threads = threads
options.add_free_dimension_override_by_name("N", batch)
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
x = np.resize(np.load(images)["images"], (batch, 3, 224, 224))
for _ in range(5): session.run(None, {"images": x})
for line in sys.stdin:
    if line == "ready?\\n": print("yes", flush=True); continue
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        session.run(None, {"images": x}); n += 1
    print(n * batch / (time.perf_counter() - start), flush=True)
"""

TORCH_TIMER = """
import sys, torch, numpy as np
from pathlib import Path
from torch.utils.benchmark import Timer
from tensordyno.models.prepared import load_module, load_prepared
folder, batch, seconds, threads = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
prepared = load_prepared(Path(folder))
module = load_module(prepared).to(memory_format=torch.channels_last)
x = torch.from_numpy(np.resize(np.load(prepared.reference)["images"], (batch, 3, 224, 224)))
x = x.contiguous(memory_format=torch.channels_last)
with torch.inference_mode():
    timer = Timer("module(x)", globals={"module": module, "x": x}, num_threads=threads)
    timer.timeit(5)
    for line in sys.stdin:
        if line == "ready?\\n": print("yes", flush=True); continue
        measured = timer.blocked_autorange(min_run_time=seconds)
        print(batch / measured.mean, flush=True)
"""


def benchmark_app(model: Path, batch: int) -> float:
    """One run of OpenVINO's own stopwatch: images per second from its count and duration."""
    command = [
        *(str(Path(sys.executable).parent / "benchmark_app"), "-m", str(model), "-d", "CPU"),
        *("-api", "sync", "-hint", "none", "-nstreams", "1", "-nthreads", str(THREADS)),
        *("-infer_precision", "f32", "-shape", f"images[{batch},3,224,224]", "-t", str(int(BURST_S))),
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    count = re.search(r"Count:\s+(\d+) iterations", text)
    duration = re.search(r"Duration:\s+([\d.]+) ms", text)
    assert count and duration, text
    return int(count[1]) * batch / (float(duration[1]) / 1000)


def trial(engine: EngineChoice, batch: int, boundary: Boundary) -> Trial:
    """ResNet-50 in strict FP32 at the boundary that the other stopwatch times."""
    return Trial(
        id=f"agreement-{engine.name}",
        model="resnet50",
        engine=engine,
        precision=Precision.FP32,
        batch_size=batch,
        boundary=boundary,
        threads=THREADS,
        measurement=Measurement(burst_seconds=BURST_S, max_probe_loss=0.06),
    )


def as_burst(images_per_s: float, at: Burst) -> Burst:
    """A foreign measurement as the partner of our burst, so that both go through the same statistics."""
    return Burst(start_s=at.start_s, stop_s=at.start_s + 1, batches=1, images=round(images_per_s * 1e6))


def compare(
    engine: EngineChoice, batch: int, boundary: Boundary, rounds: int, logs: Path
) -> dict[str, object]:
    """Our throughput over the other stopwatch's, with its interval."""
    ours = trial(engine, batch, boundary)
    folder = PreparedModels(logs, 600).folder_for(ours)
    worker = Worker(logs / "worker.log", None, THREADS, "default")
    contender = Contender(ours, Team(ours, folder, [worker]), 600, 120)
    contender.build(Materials(folder))
    child = None
    theirs: Stopwatch
    if engine.name == "openvino":
        theirs = lambda: benchmark_app(Path(folder) / "model.onnx", batch)  # noqa: E731
    elif engine.name == "onnxruntime":
        files = (str(Path(folder) / "model.onnx"), str(batch), str(BURST_S), str(THREADS))
        theirs = child = Child(BARE_ORT, *files, str(Path(folder) / "reference.npz"))
    else:
        theirs = child = Child(TORCH_TIMER, folder, str(batch), str(BURST_S), str(THREADS))
    reference, shuffled = SpinReference(), random.Random(0)
    left: list[Burst] = []
    right: list[Burst] = []
    shares: list[float] = []
    lost = 0
    while len(left) < rounds and lost < 4 * rounds:
        theirs_first = shuffled.random() < 0.5
        other = theirs() if theirs_first else None
        burst = contender.rehearse(reference.rate).burst
        other = theirs() if other is None else other
        again = contender.rehearse(reference.rate).burst if theirs_first else burst
        reference.learn(burst)
        if burst.contended or again.contended:
            lost += 1
            continue
        left.append(
            burst.__class__(
                start_s=burst.start_s,
                stop_s=burst.start_s + 1,
                batches=1,
                images=round(burst.images / burst.duration_s * 1e6),
            )
        )
        right.append(as_burst(other, burst))
        shares.append(burst.images / burst.duration_s / other)
        print(
            f"{engine.name} b{batch}: ours {burst.images / burst.duration_s:.2f}, theirs {other:.2f}",
            file=sys.stderr,
        )
    contender.team.finish()
    if child:
        child.close()
    ratio = throughput_ratio(left, right)
    return {
        "engine": engine.label,
        "batch_size": batch,
        "boundary": boundary,
        "ours_over_theirs": ratio.interval if ratio else None,
        "rounds": [round(share, 4) for share in shares],
        "contended_rounds_repeated": lost,
    }


def main() -> None:
    """All three engines."""
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=12)
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--engines", default="onnxruntime,openvino,torch")
    options = arguments.parse_args()
    pairs = (
        (EngineChoice(name="onnxruntime"), Boundary.HOST),
        (EngineChoice(name="openvino"), Boundary.DEVICE),
        (EngineChoice(name="torch", options={"layout": "channels-last"}), Boundary.DEVICE),
    )
    asked = options.engines.split(",")
    with tempfile.TemporaryDirectory() as folder:
        found = [
            compare(e, options.batch, b, options.rounds, Path(folder)) for e, b in pairs if e.name in asked
        ]
    finish({"agreement": found, "goal": "within 2 %"}, options.out)


if __name__ == "__main__":
    main()
