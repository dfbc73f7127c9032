"""Builds an engine file for `dyno build`, from a spec of flags, and says what became of it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from rich.table import Table

from tensordyno.cli import calibrating
from tensordyno.cli.calibrating import Hear
from tensordyno.cli.table import console
from tensordyno.clock import Clock, RealClock
from tensordyno.engines.base import engine_class
from tensordyno.errors import Unsupported, UsageError
from tensordyno.models.prepared import load_prepared
from tensordyno.plan.identity import model_text
from tensordyno.plan.make import make_plan
from tensordyno.quantize.base import Form
from tensordyno.records.messages import ProgressReport
from tensordyno.records.trial import Trial
from tensordyno.run.cache_folder import cache_root
from tensordyno.spec.yaml_file import SpecFile
from tensordyno.store.writer import explained
from tensordyno.units import bytes_text, significant, with_unit
from tensordyno.vocabulary import Precision

if TYPE_CHECKING:
    from tensordyno.forge import Engine

_DOING = {"compile": "compiling kernels", "time": "timing layers"}  # forge's words, and a reader's
_ON_CPU = (Precision.INT8, Precision.FP32)  # what other engines compute there, too


class Wanted(NamedTuple):
    """One network for one GPU, and the batch sizes that it is to serve."""

    trial: Trial
    batch_sizes: tuple[int, ...]


def wanted(loaded: SpecFile) -> Wanted:
    """What the flags ask for, with the network's name as the trial's id.

    Raises what `make_plan` raises, UsageError (`one-engine-file`, `one-calibration`) for more than one file,
    Unsupported when it cannot be built here, with what to type instead.
    """
    spec = loaded.spec
    for flag, said in (("--precision", spec.precisions), ("--device", spec.devices)):
        if len(set(said)) > 1:
            text = f"{flag} asks for {', '.join(said)}, and an engine file is for one of them."
            raise UsageError("one-engine-file", text, "Build a file for each.")
    plan = make_plan(spec, loaded.places)
    for skip in plan.skips:
        says_what_to_type = "Type:" in skip.reason
        remedy = "" if says_what_to_type else _instead(skip.trial)
        raise Unsupported(f"{skip.trial.model} cannot be built here: {skip.reason.rstrip('.')}.", remedy)
    sizes = tuple(sorted({trial.batch_size for trial in plan.trials}))
    calibrating.refuse_several(len(plan.trials) // len(sizes))
    trial = plan.trials[0]
    return Wanted(msgspec.structs.replace(trial, id=model_text(trial.model)), sizes)


def _instead(trial: Trial) -> str:
    """What works: another precision on the GPU, or other engines without one."""
    if engine_class(trial.engine.name).refusal("cuda", trial.precision):
        return f"Type for example: --precision {Precision.INT8}"
    precision = trial.precision if trial.precision in _ON_CPU else Precision.FP32
    return f"On a CPU type: dyno infer {trial.model} --engine onnxruntime,openvino --precision {precision}"


def build_and_print(asked: Wanted, output: Path) -> None:
    """Prepare, calibrate for int8, compile, write the file, and print a line for each batch size.

    Raises the DynoError that says why it cannot be done; what forge lacks shows before any calibration.
    """
    with calibrating.calibration_bar(asked.trial, quiet=False) as hear:
        onnx = network(asked.trial, hear)
        watch = Stopwatch(hear, RealClock())
        engine = compiled(onnx, asked, watch)
        watch.stop()
    try:
        engine.save(output)
    except OSError as wrong:
        raise explained(wrong, output) from wrong
    _print(engine, asked, watch, output)


def network(trial: Trial, hear: Hear) -> Path:
    """The ONNX file to compile: the prepared one, for int8 its Q/DQ file unless it is one already."""
    from tensordyno.forge.onnx_reader import read_graph

    prepared = load_prepared(calibrating.prepare(trial, hear))
    read_graph(prepared.onnx)  # a calibration takes minutes: find out first that forge can read it
    if trial.precision is not Precision.INT8 or prepared.facts.quantized:
        return prepared.onnx
    found = calibrating.calibrate(trial, hear, sensitivity=False, table="")
    return found.folder / f"model.{Form.INT8}.onnx"


class Stopwatch:
    """Hears forge's progress, passes it on in a reader's words, and adds up the seconds of each phase."""

    def __init__(self, hear: Hear, clock: Clock) -> None:
        self._hear = hear
        self._clock = clock
        self._since_s = self._begun_s = clock.now()
        self.phases_s: dict[str, float] = {}
        self.total_s = 0.0

    def __call__(self, doing: str, done: int, total: int) -> None:
        """The time since the last call was spent on `doing`, `done` of `total` of it by now."""
        now_s, words = self._clock.now(), _DOING.get(doing, doing)
        self.phases_s[words] = self.phases_s.get(words, 0.0) + now_s - self._since_s
        self._since_s = now_s
        self._hear(ProgressReport(doing=words, done=done, total=total))

    def stop(self) -> None:
        """All is done."""
        self.total_s = self._clock.now() - self._begun_s


def compiled(onnx: Path, asked: Wanted, progress: Callable[[str, int, int], None]) -> "Engine":
    """Forge's engine; its choices are kept in our cache. In this process: no worker measures meanwhile."""
    from tensordyno import forge

    return forge.build(
        onnx,
        asked.trial.precision,
        asked.batch_sizes,
        asked.trial.device,
        cache=cache_root(),
        on_progress=progress,
    )


def _print(engine: "Engine", asked: Wanted, watch: Stopwatch, output: Path) -> None:
    out, trial = console(), asked.trial
    phases = ", ".join(f"{words} {with_unit(took_s, 's')}" for words, took_s in watch.phases_s.items())
    how = phases or "every choice was kept from before"
    built = f"built for {engine.device.name} in {with_unit(watch.total_s, 's')}"
    out.print(f"{trial.id} in {trial.precision} {built}: {how}.", soft_wrap=True)
    out.print(batches(engine))
    size = bytes_text(output.stat().st_size)
    out.print(f"Engine: {output} ({size})", soft_wrap=True)
    out.print(
        f'Next:   python -c "from tensordyno import forge; forge.load({str(output)!r})"', soft_wrap=True
    )


def batches(engine: "Engine") -> Table:
    """A row a batch size; its time is the sum of its layers', each timed by itself."""
    table = Table(box=None)
    for heading in ("batch", "operations", "memory", "timed", "kept", "sum of layers", "images/s"):
        table.add_column(heading, justify="right")
    for size in engine.batch_sizes:
        executable = engine.executable(size)
        ours = [each for each in engine.selections if each.batch_size == size]
        times_us = [each.us for each in executable.choices]
        known_s = sum(us for us in times_us if us is not None) / 1e6 if None not in times_us else 0.0
        table.add_row(
            str(size),
            str(len(executable.launches)),
            bytes_text(executable.arena_bytes),
            str(sum(not each.kept for each in ours)),
            str(sum(each.kept for each in ours)),
            with_unit(known_s, "s") if known_s else "",
            significant(size / known_s) if known_s else "",
        )
    return table
