"""Writes run folders of NVIDIA GPUs as real runs would leave them: 1, 2 and 4 ranks, NVML, energy, memory.

Nothing is measured: speeds and watts are typed in after an H200's, scatter is drawn from a seed. Each trial
has joint bursts with a part for every rank, an energy window at full load, and readings of all GPUs on the
run's clock between two idle windows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from made_nvml import Load, MadeGpus, seeded, write_readings

from tensordyno.records.base import Record
from tensordyno.records.build import Built, ProcessFacts, Receipt, Verification
from tensordyno.records.burst import Burst, Probe, RankBurst, Warmup
from tensordyno.records.device import Ceiling, DevicePage, IdleWindow
from tensordyno.records.machine import MachineFacts, RunFooter, RunHeader
from tensordyno.records.memory import LargestBatch, Shortage
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.records.outcome import Outcome, Phase, RankFacts
from tensordyno.records.reading import Overhead, SamplerFacts, Unavailable
from tensordyno.records.trial import EngineChoice, Measurement, Plan, Rank, Skip, Trial
from tensordyno.records.wire import encode_line
from tensordyno.store.layout import RunFolder
from tensordyno.vocabulary import Boundary, Precision, Verdict, WeightsKind

GIB = 2**30
START_S = 1000.0
IDLE_S = 10.0
SPIN = 5210.0
# images per second with large batches on one H200
SPEEDS = {
    ("resnet50", "torch", "fp32"): 3800.0,
    ("resnet50", "torch", "fp16"): 16800.0,
    ("resnet50", "torch-compile", "fp32"): 4100.0,
    ("resnet50", "torch-compile", "fp16"): 31400.0,
    ("vgg16", "torch", "fp32"): 1250.0,
    ("vgg16", "torch", "fp16"): 7600.0,
    ("vgg16", "torch-compile", "fp32"): 1290.0,
    ("vgg16", "torch-compile", "fp16"): 8400.0,
}
WATTS = {"fp32": 585.0, "tf32": 600.0, "fp16": 688.0, "bf16": 688.0}  # at full load; the cap is 700
GMACS = {"resnet50": 4.089184256, "vgg16": 15.470264320}
PARAMETERS = {"resnet50": 25_557_032, "vgg16": 138_357_544}
ACTIVATIONS = {"resnet50": 27_351_016, "vgg16": 30_323_688}


@dataclass(frozen=True)
class GpuStory:
    """What the made-up run consists of; the defaults are four H200s and 48 trials, one out of memory."""

    models: tuple[str, ...] = ("resnet50", "vgg16")
    engines: tuple[str, ...] = ("torch", "torch-compile")
    precisions: tuple[str, ...] = ("fp32", "fp16")
    batches: tuple[int, ...] = (8, 256)
    counts: tuple[int, ...] = (1, 2, 4)
    device: str = "cuda:0"  # "cpu" for ranks on shares of a CPU
    name: str = "NVIDIA H200"  # the device's own
    gpus: int = 4
    driver: str = "580.159.04"
    cpu: str = "Intel Xeon Platinum 8480C"
    host: str = "gpu-07"
    limit_w: float = 700.0
    idle_w: float = 76.0
    speed: float = 1.0  # times an H200's
    loss: float = 0.01  # of efficiency by each further rank
    slow_rank: float = 0.012  # how much slower the last rank is
    bursts: int = 6
    out_of_memory: bool = True
    interval_s: float = 0.25
    version: str = "2.11.0"


def make_gpu_run(root: Path, story: GpuStory | None = None) -> Path:
    """Write the run folder at `root` and return it."""
    story = story or GpuStory()
    folder = RunFolder(root)
    for path in (root, folder.samples, folder.readings, folder.logs):
        path.mkdir(parents=True, exist_ok=True)
    plan = _plan(story)
    folder.plan.write_bytes(msgspec.json.encode(plan))
    folder.spec.write_text("task: inference\nmodels: [" + ", ".join(story.models) + "]\n")
    loads: list[Load] = []
    clock = START_S + IDLE_S
    lines: list[Record] = [_header(story), IdleWindow(when="before", start_s=START_S, stop_s=clock)]
    lines += _pages(story)
    for trial in plan.trials:
        outcome, clock = _measured(trial, clock + 1.0, story, folder, loads)
        lines.append(outcome)
    if any(t.batch_size == 4096 for t in plan.trials):
        lines.append(_largest(story))
    lines += [
        IdleWindow(when="after", start_s=clock + 5, stop_s=clock + 5 + IDLE_S, cool_down_s=5.0),
        SamplerFacts(
            interval_s=0.1, samples=int(10 * (clock - START_S)), late=2, worst_lateness_s=0.07,
            mean_cost_s=0.004,
        ),
        Overhead(ratio=1.0, low=0.999, high=1.001, rounds=8, interval_s=0.1),
        RunFooter(finished="2026-11-21T10:21:37Z"),
    ]  # fmt: skip
    folder.records.write_bytes(b"".join(encode_line(line) for line in lines))
    if story.device == "cpu":
        gone = Unavailable(source="nvml", reason="no NVIDIA driver on this machine")
        folder.reading_file("nvml").write_bytes(encode_line(gone))
    else:
        gpus = MadeGpus(story.name, story.gpus, story.driver, story.host, story.limit_w, story.idle_w)
        times = np.arange(START_S, clock + 5 + IDLE_S, story.interval_s)
        write_readings(folder.reading_file("nvml"), gpus, loads, times)
    return root


def _plan(story: GpuStory) -> Plan:
    trials = [
        _trial(story, model, engine, precision, batch, count)
        for model in story.models
        for precision in story.precisions
        for batch in story.batches
        for count in story.counts
        for engine in story.engines
    ]
    if not story.out_of_memory:
        return Plan(trials=tuple(trials))
    asked = (story.models[-1], story.engines[0], story.precisions[0])
    trials.append(_trial(story, *asked, 4096, 1))
    above = _trial(story, *asked, 8192, 1)
    reason = f"Batch 4096 ran out of memory on {story.device}; a larger one needs more."
    return Plan(trials=tuple(trials), skips=(Skip(trial=above, reason=reason),))


def _trial(story: GpuStory, model: str, engine: str, precision: str, batch: int, count: int) -> Trial:
    return Trial(
        id=f"{model}.{engine}.{precision}.b{batch}.x{count}",
        model=model,
        engine=EngineChoice(name=engine),
        precision=Precision(precision),
        batch_size=batch,
        boundary=Boundary.HOST if story.device == "cpu" else Boundary.DEVICE,
        device=story.device,
        devices=count,
        threads=1 if story.device == "cpu" else None,
        seed=7,
        measurement=Measurement(),
        group=f"{model}.b{batch}.x{count}",
    )


def _header(story: GpuStory) -> RunHeader:
    cpu = story.device == "cpu"
    machine = MachineFacts(
        hostname=story.host,
        os="Debian GNU/Linux 12",
        kernel="6.18.0",
        cpu=story.cpu,
        cores=16,
        sockets=1,
        threads_per_core=2,
        memory_bytes=128 * GIB,
        instruction_sets=("avx2", "avx512f", "amx_tile"),
        gpus=() if cpu else (story.name,) * story.gpus,
        python="3.11.7",
        packages={"numpy": "2.4.6", "torch": story.version},
        spin_rate=SPIN,
    )
    gpus = f" --gpus {','.join(map(str, story.counts))}" if len(story.counts) > 1 else ""
    command = (
        f"dyno infer {' '.join(story.models)} --engine {','.join(story.engines)}"
        f" --precision {','.join(story.precisions)} --batch {','.join(map(str, story.batches))}"
        f" --device {story.device}{gpus}"
    )
    return RunHeader(
        run=f"2026-11-21-100000-{story.host}",
        started="2026-11-21T10:00:00Z",
        clock_start_s=START_S,
        command=command,
        version="0.3.0",
        machine=machine,
        baseline=story.engines[0],
        seed=7,
    )


def _pages(story: GpuStory) -> Iterator[DevicePage]:
    yield DevicePage(device="cpu", name=story.cpu, features={"Cores": "8", "Logical CPUs": "16"})
    if story.device == "cpu":
        return
    features = {
        "Compute capability": "9.0",
        "Streaming multiprocessors": "132",
        "Clock, most": "1.98 GHz",
        "Memory": "141 GB",
        "Memory bandwidth": "4.80 TB/s",
        "L2 cache": "60 MiB",
        "PCIe": "5.0 x16",
        "Power limit": f"{story.limit_w:.0f} W",
        "Driver": story.driver,
    }
    ceilings = (
        Ceiling(what="matmul", precision="fp32", rate=51e12 * story.speed, how="8192 cubed, median of 20"),
        Ceiling(what="matmul", precision="tf32", rate=360e12 * story.speed, how="8192 cubed, median of 20"),
        Ceiling(what="matmul", precision="fp16", rate=686e12 * story.speed, how="8192 cubed, median of 20"),
        Ceiling(what="copy", rate=4.29e12 * story.speed, how="4 GiB, median of 20"),
        Ceiling(what="host_to_device", rate=54e9, how="1 GiB pinned, median of 20"),
        Ceiling(what="device_to_host", rate=52e9, how="1 GiB pinned, median of 20"),
    )  # fmt: skip
    for index in range(story.gpus):
        yield DevicePage(device=f"gpu{index}", name=story.name, features=features, ceilings=ceilings)


def _measured(
    trial: Trial, clock: float, story: GpuStory, folder: RunFolder, loads: list[Load]
) -> tuple[Outcome, float]:
    """The outcome of a trial that begins at `clock`, and when it ended."""
    phases = []
    steps = {"load": 0.4, "compile": 0.8, "first inference": 0.1, "verify": 0.2, "warm-up": 0.6}
    for name, duration_s in steps.items():
        phases.append(Phase(name=name, start_s=clock, stop_s=clock + duration_s))
        clock += duration_s
    if trial.batch_size == 4096:
        return _out_of_memory(trial, tuple(phases[:2]), story), clock
    begun = clock
    bursts, samples = [], []
    for number in range(story.bursts):
        burst, latencies = _burst(trial, story, number, clock, 0.4)
        bursts.append(burst)
        samples.append(latencies)
        phases.append(Phase(name="measure", start_s=burst.start_s, stop_s=burst.stop_s))
        clock = burst.stop_s + 0.06
    window, _ = _burst(trial, story, story.bursts, clock + 1.0, 5.2)
    phases.append(Phase(name="energy", start_s=window.start_s, stop_s=window.stop_s))
    loads.append(Load(begun, window.stop_s, trial.devices, min(WATTS[trial.precision], story.limit_w)))
    np.save(folder.sample_file(trial.id), np.concatenate(samples))
    warmup = Warmup(start_s=phases[4].start_s, stop_s=phases[4].stop_s, batches=12, settled=True)
    facts = _facts(trial, story)
    found = Outcome(
        trial=trial, verdict=Verdict.VALID, warmup=warmup, bursts=tuple(bursts), energy_window=window,
        phases=tuple(phases), **facts,
    )  # fmt: skip
    return found, window.stop_s


def _out_of_memory(trial: Trial, phases: tuple[Phase, ...], story: GpuStory) -> Outcome:
    missing = Shortage(asked_bytes=49 * GIB, free_bytes=31 * GIB, total_bytes=141 * 10**9)
    facts = {k: v for k, v in _facts(trial, story).items() if k not in ("built", "verification")}
    return Outcome(
        trial=trial,
        verdict=Verdict.OUT_OF_MEMORY,
        reason="The device has no room for 49.0 GiB more.",
        slug="out-of-memory",
        shortage=missing,
        phases=phases,
        **facts,
    )


def speed_of(trial: Trial, story: GpuStory, rank: int = 0) -> float:
    """Images per second of one undisturbed rank."""
    peak = SPEEDS.get((trial.model, trial.engine.name, trial.precision.value), 5000.0) * story.speed
    share = 1 - story.loss * (trial.devices - 1)
    slow = story.slow_rank if trial.devices > 1 and rank == trial.devices - 1 else 0.0
    return peak * trial.batch_size / (trial.batch_size + 6) * share * (1 - slow)


def _burst(
    trial: Trial, story: GpuStory, number: int, clock: float, length_s: float
) -> tuple[Burst, np.ndarray]:
    """A joint burst of every rank, and its latencies rank after rank."""
    ranks, latencies = [], []
    for rank in range(trial.devices):
        random = seeded(trial.id, story.name, number, rank)
        mean_s = trial.batch_size / speed_of(trial, story, rank)
        batches = max(3, round(length_s / mean_s))
        times = mean_s * float(np.exp(random.normal(0, 0.002))) * np.exp(random.normal(0, 0.01, batches))
        start_s = clock + 1e-4 * rank
        images = batches * trial.batch_size
        ranks.append(
            RankBurst(
                start_s=start_s, stop_s=start_s + float(times.sum()), batches=batches, images=images,
                device_s=0.985 * float(times.sum()),
            )
        )  # fmt: skip
        latencies.append(times)
    images = sum(r.images for r in ranks)
    duration_s = images / sum(r.images_per_s for r in ranks)
    free = Probe(rate=SPIN, loss=0.0)
    burst = Burst(
        start_s=clock,
        stop_s=clock + duration_s,
        batches=sum(r.batches for r in ranks),
        images=images,
        before=free,
        after=free,
        device_s=sum(r.device_s or 0.0 for r in ranks),
        ranks=tuple(ranks) if trial.devices > 1 else (),
    )
    return burst, np.concatenate(latencies)


def _facts(trial: Trial, story: GpuStory) -> dict[str, Record | tuple[RankFacts, ...]]:
    exact = trial.precision is Precision.FP32
    cpu = story.device == "cpu"
    peak = int((0.4 + 0.021 * trial.batch_size / (1 if exact else 2)) * GIB)
    facts: dict[str, Record | tuple[RankFacts, ...]] = {
        "model": ModelFacts(
            name=trial.model,
            input_shape=(3, 224, 224),
            classes=1000,
            parameters=PARAMETERS.get(trial.model, 10_000_000),
            macs=int(1e9 * GMACS.get(trial.model, 2.0)),
            activations=ACTIVATIONS.get(trial.model, 0),
            weights=WeightsKind.CHECKPOINT,
            weights_hash="a1b2c3d4e5f60718",
            preprocessing=Preprocessing(),
        ),
        "receipt": Receipt(
            engine=trial.engine.name,
            version=story.version,
            device=story.cpu if cpu else story.name,
            provider="" if cpu else "CUDA 13.0",
            threads=1 if cpu else None,
            libraries={} if cpu else {"cudnn": "9.19"},
        ),
        "process": ProcessFacts(
            pid=4000, python="3.11.7", affinity=tuple(range(16)), threads=1 if cpu else 8, allocator="default"
        ),
        "built": Built(
            import_s=1.9, load_s=0.4, compile_s=0.8, first_inference_s=0.1, size_bytes=102_000_000,
            peak_rss_bytes=2 * GIB, peak_device_bytes=None if cpu else peak,
        ),
        "verification": Verification(
            images=32, sqnr_db=112.0 if exact else 41.0, cosine=1.0 if exact else 0.99996,
            top1_agreement=1.0, max_abs_error=3e-6 if exact else 0.02, passed=True,
        ),
    }  # fmt: skip
    if trial.devices > 1:
        facts["ranks"] = tuple(
            RankFacts(
                index=i,
                device=Rank(index=i, size=trial.devices).device_of(trial),
                name=story.cpu if cpu else story.name,
                pid=4000 + i,
                affinity=tuple(range(16 * i // trial.devices, 16 * (i + 1) // trial.devices)),
            )
            for i in range(trial.devices)
        )
    return facts


def _largest(story: GpuStory) -> LargestBatch:
    return LargestBatch(
        model=story.models[-1],
        engine=story.engines[0],
        precision=story.precisions[0],
        boundary="device",
        device=story.device,
        dataset="synthetic",
        fits=3392,
        fails=3424,
        tried=(3072, 3584, 3328, 3456, 3392, 3424),
        peak_bytes=129 * GIB,
        shortage=Shortage(asked_bytes=41 * GIB, free_bytes=2 * GIB, total_bytes=141 * 10**9),
    )
