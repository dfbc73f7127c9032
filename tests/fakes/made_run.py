"""Writes a run folder as a real run would leave it, from a seed: the input of the gold files.

Nothing is measured: speeds are typed in, latencies are drawn. Everything else is the real thing: the
wire format, sample files, readings on the run's clock, skips, failures and a footer.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from tensordyno.records.base import Record
from tensordyno.records.build import Accuracy, Built, ProcessFacts, Receipt, Verification
from tensordyno.records.burst import Burst, Probe, Warmup
from tensordyno.records.machine import MachineFacts, RunFooter, RunHeader
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.records.outcome import Outcome, Phase
from tensordyno.records.reading import (
    Channel,
    ChannelSet,
    Overhead,
    Reading,
    SamplerFacts,
    Unavailable,
)
from tensordyno.records.trial import EngineChoice, Measurement, Plan, Skip, Trial
from tensordyno.records.wire import encode_line
from tensordyno.store.layout import RunFolder
from tensordyno.vocabulary import Precision, Verdict, WeightsKind

GIB = 2**30
MEASUREMENT = Measurement(min_seconds=2.0, max_seconds=20.0, target_half_width=0.03)
# images per second at batch 8 of a network on the first engine; the others follow by ratio
SPEEDS = {"resnet50": 54.0, "lenet5_fashion": 21000.0}
RATIOS = {
    ("onnxruntime", "fp32"): 1.0,
    ("openvino", "fp32"): 0.99,
    ("openvino", "bf16"): 2.04,
    ("torch", "fp32"): 0.71,
    ("torch", "bf16"): 1.29,
    ("torch-compile", "fp32"): 0.94,
    ("torch-compile", "bf16"): 1.92,
}
START_S = {  # import, load, compile, first inference
    "onnxruntime": (0.10, 0.05, 0.16, 0.02),
    "openvino": (0.15, 0.06, 0.20, 0.02),
    "torch": (1.52, 0.28, 0.02, 0.06),
    "torch-compile": (1.55, 0.31, 12.3, 0.42),
}
VERSIONS = {"onnxruntime": "1.31.1", "openvino": "2026.4.1", "torch": "2.13.0", "torch-compile": "2.13.0"}
ENDINGS = {
    "resnet50.torch.fp32.b32": (
        Verdict.UNSTABLE,
        "The 95 % interval of throughput stayed at ±9.8 % for 20 s; the target is ±3 %.",
        "stopping-rule-not-met",
    ),
    "resnet50.torch-compile.bf16.b1": (
        Verdict.INVALID,
        "SQNR 11.2 dB against the strict FP32 reference; bf16 must reach 20 dB.",
        "verification-failed",
    ),
    "resnet50.torch-compile.bf16.b32": (
        Verdict.CRASHED,
        "The worker was killed by signal 11 (segmentation fault).",
        "worker-crashed",
    ),
}


@dataclass
class Story:
    """What the made-up run consists of; the defaults are the gold files' 34 trials."""

    models: tuple[str, ...] = ("resnet50", "lenet5_fashion")
    engines: tuple[str, ...] = ("torch", "torch-compile", "onnxruntime", "openvino")
    precisions: tuple[str, ...] = ("fp32", "bf16")
    batches: tuple[int, ...] = (1, 8, 32)
    bursts: int = 6
    interval_s: float = 0.5
    power: bool = False
    endings: dict[str, tuple[Verdict, str, str]] = field(default_factory=lambda: dict(ENDINGS))


def make_run(root: Path, story: Story | None = None) -> Path:
    """Write the run folder at `root` and return it."""
    story = story or Story()
    folder = RunFolder(root)
    for path in (root, folder.samples, folder.readings, folder.logs):
        path.mkdir(parents=True, exist_ok=True)
    plan = _plan(story)
    folder.plan.write_bytes(msgspec.json.encode(plan))
    folder.spec.write_text("task: inference\nmodels: [" + ", ".join(story.models) + "]\n")
    clock = 1000.0
    lines: list[Record] = [_header(story, clock)]
    for group in sorted({t.group for t in plan.trials}):
        trials = [t for t in plan.trials if t.group == group]
        outcomes, clock = _measure_group(trials, clock + 1.0, story, folder)
        lines += outcomes
    lines += [
        SamplerFacts(interval_s=0.1, samples=int((clock - 1000) * 10), late=3, worst_lateness_s=0.08,
                     mean_cost_s=0.0012),
        Overhead(ratio=0.998, low=0.995, high=1.001, rounds=8, interval_s=0.1),
        RunFooter(finished="2026-11-21T10:21:37Z"),
    ]  # fmt: skip
    folder.records.write_bytes(b"".join(encode_line(line) for line in lines))
    _readings(folder, story, clock)
    return root


def _plan(story: Story) -> Plan:
    trials, skips = [], []
    for model in story.models:
        for precision in story.precisions:
            for batch in story.batches:
                for engine in story.engines:
                    trial = _trial(model, engine, precision, batch)
                    if engine == "onnxruntime" and precision == "bf16":
                        reason = "onnxruntime has no bf16 convolution on this CPU."
                        skips.append(Skip(trial=trial, reason=reason))
                    else:
                        trials.append(trial)
    return Plan(trials=tuple(trials), skips=tuple(skips))


def _trial(model: str, engine: str, precision: str, batch: int) -> Trial:
    options = {"hint": "throughput"} if engine == "openvino" and model.startswith("lenet") else {}
    return Trial(
        id=f"{model}.{engine}.{precision}.b{batch}",
        model=model,
        engine=EngineChoice(name=engine, options=options),
        precision=Precision(precision),
        batch_size=batch,
        dataset="fashion" if model.endswith("_fashion") else "synthetic",
        seed=7,
        measurement=MEASUREMENT,
        group=f"{model}.{precision}.b{batch}",
    )


def _header(story: Story, clock: float) -> RunHeader:
    machine = MachineFacts(
        hostname="bench-02",
        os="Debian GNU/Linux 12",
        kernel="6.18.0",
        cpu="AMD EPYC 9V45",
        cores=2,
        sockets=1,
        threads_per_core=2,
        memory_bytes=24 * GIB,
        governor=None,
        virtual="kvm",
        instruction_sets=("avx2", "avx512f", "avx512_vnni", "avx512_bf16"),
        python="3.11.7",
        packages={"numpy": "2.4.6", **VERSIONS},
        spin_rate=5210.0,
    )
    command = (
        f"dyno infer {' '.join(story.models[:3])} --engine {','.join(story.engines)}"
        f" --precision {','.join(story.precisions)} --batch {','.join(map(str, story.batches))}"
    )
    return RunHeader(
        run="2026-11-21-100000-cpu-engines",
        started="2026-11-21T10:00:00Z",
        clock_start_s=clock,
        command=command,
        version="0.1.0",
        machine=machine,
        baseline="onnxruntime",
        latency_bound_s=0.1,
        seed=7,
    )


def _measure_group(
    trials: list[Trial], clock: float, story: Story, folder: RunFolder
) -> tuple[list[Outcome], float]:
    """Builds one after the other, then bursts in rounds, as a real run does."""
    built: dict[str, tuple[Built, tuple[Phase, ...]]] = {}
    for trial in trials:
        facts = _built(trial)
        steps = {
            "import": facts.import_s,
            "load": facts.load_s,
            "compile": facts.compile_s,
            "first inference": facts.first_inference_s,
            "verify": 0.3,
            "warm-up": 0.5,
        }
        phases = []
        for name, duration_s in steps.items():
            phases.append(Phase(name=name, start_s=clock, stop_s=clock + duration_s))
            clock += duration_s
        built[trial.id] = facts, tuple(phases)
    bursts: dict[str, list[Burst]] = {t.id: [] for t in trials}
    samples: dict[str, list[np.ndarray]] = {t.id: [] for t in trials}
    running = [t for t in trials if t.id not in story.endings or story.endings[t.id][0].is_measured]
    for number in range(story.bursts):
        for trial in running:
            burst, latencies = _burst(trial, number, clock)
            bursts[trial.id].append(burst)
            samples[trial.id].append(latencies)
            clock = burst.stop_s + 0.06
    outcomes = []
    for trial in trials:
        if samples[trial.id]:
            np.save(folder.sample_file(trial.id), np.concatenate(samples[trial.id]))
        outcomes.append(_outcome(trial, *built[trial.id], tuple(bursts[trial.id]), story))
    return outcomes, clock


def _random(*words: object) -> np.random.Generator:
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _built(trial: Trial) -> Built:
    import_s, load_s, compile_s, first_s = START_S.get(trial.engine.name, (0.4, 0.1, 0.8, 0.05))
    small = 0.3 if trial.model.startswith("lenet") else 1.0
    choices = {"layout": "channels_last (1.19x)"} if trial.engine.name == "torch" else {}
    return Built(
        import_s=import_s,
        load_s=load_s * small,
        compile_s=compile_s * small,
        first_inference_s=first_s + trial.batch_size / _speed(trial),
        size_bytes=int(102e6 * small**3),
        peak_rss_bytes=int(313e6 if trial.engine.name in ("onnxruntime", "openvino") else 554e6),
        choices=choices,
    )


def _speed(trial: Trial) -> float:
    """Images per second of an undisturbed trial."""
    base = SPEEDS.get(trial.model) or 20 + 400 * float(_random(trial.model).random())
    ratio = RATIOS.get((trial.engine.name, trial.precision.value), 1.0)
    overhead = {"torch": 0.25, "torch-compile": 0.12}.get(trial.engine.name, 0.05)
    growth = (1 + overhead / 8) / (1 + overhead / trial.batch_size)
    fading = 0.6 if trial.engine.name == "torch" and trial.batch_size >= 32 else 1.0
    return base * ratio * growth * fading


def _burst(trial: Trial, number: int, clock: float) -> tuple[Burst, np.ndarray]:
    random = _random(trial.id, number)
    mean_s = trial.batch_size / _speed(trial)
    contended = number == 2 and trial.engine.name == "torch"
    batches = max(2, min(60, round(0.4 / mean_s)))
    spread = 0.09 if trial.id.endswith("torch.fp32.b32") else 0.025
    latencies = mean_s * (1.9 if contended else 1.0) * np.exp(random.normal(0, spread, batches))
    loss = 0.21 if contended else float(random.uniform(0, 0.02))
    burst = Burst(
        start_s=clock,
        stop_s=clock + float(latencies.sum()),
        batches=batches,
        images=batches * trial.batch_size,
        before=Probe(rate=5210 * (1 - loss), loss=loss),
        after=Probe(rate=5210 * (1 - loss / 2), loss=loss / 2),
        contended=contended,
    )
    return burst, latencies


def _outcome(
    trial: Trial, built: Built, phases: tuple[Phase, ...], bursts: tuple[Burst, ...], story: Story
) -> Outcome:
    verdict, reason, slug = story.endings.get(trial.id, (Verdict.VALID, "", ""))
    crashed = verdict is Verdict.CRASHED
    warmup = None
    if bursts:
        warmup = Warmup(start_s=phases[-1].start_s, stop_s=phases[-1].stop_s, batches=12, settled=True)
        measured = [Phase(name="measure", start_s=b.start_s, stop_s=b.stop_s) for b in bursts]
        phases = (*phases, *measured)
    return Outcome(
        trial=trial,
        verdict=verdict,
        reason=reason,
        slug=slug,
        model=_model(trial),
        receipt=_receipt(trial),
        process=ProcessFacts(
            pid=4000 + len(trial.id), python="3.11.7", affinity=(0, 1), threads=2, allocator="default",
            environment={"OMP_NUM_THREADS": "2"},
        ),
        built=None if crashed else built,
        verification=None if crashed else _verification(trial, verdict),
        accuracy=_accuracy(trial),
        warmup=warmup,
        bursts=bursts,
        phases=phases,
        last_words="Fatal Python error: Segmentation fault" if crashed else "",
    )  # fmt: skip


def _model(trial: Trial) -> ModelFacts:
    fashion = trial.dataset == "fashion"
    return ModelFacts(
        name=trial.model,
        input_shape=(1, 28, 28) if fashion else (3, 224, 224),
        classes=10 if fashion else 1000,
        parameters=61_706 if fashion else 25_557_032,
        macs=416_520 if fashion else 4_089_184_256,
        weights=WeightsKind.PACKAGED if fashion else WeightsKind.RANDOM,
        weights_hash="a1b2c3d4e5f60718",
        preprocessing=Preprocessing(),
    )


def _receipt(trial: Trial) -> Receipt:
    name = trial.engine.name
    return Receipt(
        engine=name,
        version=VERSIONS.get(name, "1.0"),
        device="AMD EPYC 9V45",
        provider={"onnxruntime": "CPUExecutionProvider", "openvino": "CPU"}.get(name, ""),
        threads=2,
        build_flags="oneDNN 3.12" if name.startswith("torch") else "",
        settings={"INFERENCE_PRECISION_HINT": str(trial.precision.value)} if name == "openvino" else {},
    )


def _verification(trial: Trial, verdict: Verdict) -> Verification:
    exact = trial.precision is Precision.FP32
    failed = verdict is Verdict.INVALID
    return Verification(
        images=32,
        sqnr_db=11.2 if failed else 118.0 if exact else 34.5,
        cosine=0.961 if failed else 1.0 if exact else 0.9997,
        top1_agreement=0.72 if failed else 1.0 if exact else 0.97,
        max_abs_error=1.4 if failed else 3e-6 if exact else 0.02,
        passed=not failed,
        reason="SQNR 11.2 dB" if failed else "",
    )


def _accuracy(trial: Trial) -> Accuracy | None:
    if trial.dataset != "fashion":
        return None
    correct = 1818 if trial.precision is Precision.FP32 else 1815
    return Accuracy(
        images=2000, top1_correct=correct, top5_correct=1996, dataset="fashion", data_hash="0badc0de0badc0de"
    )


def _readings(folder: RunFolder, story: Story, stop_s: float) -> None:
    random = _random("readings")
    times = np.arange(1000.0, stop_s, story.interval_s)
    busy = np.clip(88 + 9 * np.sin(times / 7) + random.normal(0, 3, times.size), 0, 100)
    memory = (2.1 + 0.6 * np.sin(times / 31) ** 2) * GIB
    _write(folder, "cpu", [("utilisation", "%", "")], times, busy[:, None])
    _write(folder, "memory", [("used", "B", "")], times, memory[:, None])
    if story.power:
        watts = 60 + 1.4 * busy + random.normal(0, 2, times.size)
        _write(folder, "replay", [("power", "W", "package0")], times, watts[:, None])
    for source, reason in (
        ("nvml", "no NVIDIA driver on this machine"),
        ("rapl", "/sys/class/powercap does not exist (virtual machine)"),
    ):
        folder.reading_file(source).write_bytes(encode_line(Unavailable(source=source, reason=reason)))


def _write(
    folder: RunFolder, source: str, what: list[tuple[str, str, str]], times: np.ndarray, table: np.ndarray
) -> None:
    channels = tuple(Channel(source=source, name=n, unit=u, device=d) for n, u, d in what)
    lines = [encode_line(ChannelSet(source=source, channels=channels))]
    for at, row in zip(times, table, strict=True):
        values = tuple(round(float(v), 3) for v in row)
        lines.append(encode_line(Reading(t_s=round(float(at), 4), values=values)))
    folder.reading_file(source).write_bytes(b"".join(lines))
