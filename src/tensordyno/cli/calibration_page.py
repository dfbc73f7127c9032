"""What `dyno quantize` leaves behind and says: files, layers, the methods tried, what to type next."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.table import Table

from tensordyno.cli.calibrating import Quantized
from tensordyno.cli.quantize import table_beside
from tensordyno.cli.table import console
from tensordyno.models.prepared import load_prepared
from tensordyno.quantize.base import Form
from tensordyno.records.calibration import Calibration, CalibrationFacts, LayerFacts, MethodScore
from tensordyno.records.model import ModelFacts
from tensordyno.records.trial import Trial
from tensordyno.spec.preprocessing_text import preprocessing_text
from tensordyno.store.writer import explained, write_whole
from tensordyno.units import bytes_text, with_unit
from tensordyno.vocabulary import WeightsKind

_SCHEMA = 1  # of the JSON that --json prints
_TABLE = "table.json"
_MOST_LAYERS = 10  # of the sensitivity ranking; the table has them all


class Files(NamedTuple):
    """What the user wanted, and how it is written."""

    onnx: Path
    table: Path
    form: Form


def keep(found: Quantized, form: str, output: Path) -> Files:
    """Copy the Q/DQ file of a form, and the calibration table, to where the user wants them.

    Raises StoreError when they cannot be read or written.
    """
    files = Files(output, table_beside(output), Form(form))
    for source, target in ((f"model.{form}.onnx", files.onnx), (_TABLE, files.table)):
        write_whole(target, _read(found.folder / source))
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise explained(wrong, path) from wrong


def as_json(trial: Trial, facts: CalibrationFacts, files: Files) -> bytes:
    """The same as an object: schema, model, onnx, table, form, calibration (its summary)."""
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "schema": _SCHEMA,
                "model": trial.model,
                "onnx": str(files.onnx),
                "table": str(files.table),
                "form": files.form,
                "calibration": facts,
            }
        ),
        indent=2,
    )


def print_page(trial: Trial, found: Quantized, files: Files, *, from_table: bool) -> None:
    """Print what became of the network, where it lies, and how to see whether it is any good."""
    out, facts, model = console(), found.facts, load_prepared(found.prepared).facts
    out.print(_headline(trial.id, facts))
    for layer in facts.fp32_layers:
        out.print(f"  stays in FP32: {layer.name} ({layer.op}){f': {layer.reason}' * bool(layer.reason)}")
    if facts.tried:
        out.print(_methods(facts.tried, facts.method))
    if facts.sensitivity:
        out.print(_ranking(facts.sensitivity))
    for warning in facts.warnings:
        out.print(warning, style="yellow")
    before, after = _size(found.prepared / "model.onnx"), _size(files.onnx)
    out.print(f"Q/DQ:  {files.onnx} ({files.form} activations, {after}; FP32 has {before})", soft_wrap=True)
    out.print(f"Table: {files.table}", soft_wrap=True)
    for first, line in zip(
        ("Next: ", *[" " * 6] * 9), _next(trial, model, files, again=not from_table), strict=False
    ):
        out.print(f"{first} {line}", soft_wrap=True)


def _headline(name: str, facts: CalibrationFacts) -> str:
    layers = facts.int8_layers + len(facts.fp32_layers)
    asked = "" if facts.asked_method == facts.method else f" (best of {facts.asked_method})"
    took = "found in the cache" if facts.reused else f"took {with_unit(facts.seconds, 's')}"
    return (
        f"{name}: {facts.int8_layers} of {layers} layers with weights in INT8; ranges by {facts.method}"
        f"{asked} from {facts.images} images of {facts.data}, {took}."
    )


def _methods(tried: Sequence[MethodScore], chosen: str) -> Table:
    table = Table(title=f"Methods on {tried[0].images} held-back images", title_justify="left", box=None)
    table.add_column("method", no_wrap=True)
    for heading in ("same answer as FP32", "top-1 lost", "SQNR"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for score in tried:
        lost = "" if score.drop is None else f"{100 * score.drop:.2f} points"
        mark = "chosen" if score.method == chosen else ""
        table.add_row(score.method, f"{100 * score.agreement:.2f} %", lost, _decibels(score.sqnr_db), mark)
    return table


def _ranking(layers: Sequence[LayerFacts]) -> Table:
    title = "Layers by what INT8 costs in each alone, the most sensitive first"
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("layer", "operation"):
        table.add_column(heading)
    table.add_column("SQNR", justify="right")
    table.add_column("")
    for layer in layers[:_MOST_LAYERS]:
        table.add_row(layer.name, layer.op, _decibels(layer.sqnr_db), "" if layer.int8 else "stays in FP32")
    if len(layers) > _MOST_LAYERS:
        table.add_row(f"... and {len(layers) - _MOST_LAYERS} more in the table", "", "", "")
    return table


def _decibels(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} dB"


def _size(path: Path) -> str:
    try:
        return bytes_text(path.stat().st_size)
    except OSError as wrong:
        raise explained(wrong, path) from wrong


def _next(trial: Trial, model: ModelFacts, files: Files, *, again: bool) -> list[str]:
    """Commands that prove what was made: its accuracy where that can be told, its speed."""
    lines = []
    if again and model.weights is not WeightsKind.RANDOM and not model.quantized:
        lines.append(shlex.join(["dyno", "accuracy", trial.model, *_same_calibration(trial)]))
    engines = "onnxruntime,openvino" if files.form is Form.UINT8 else "openvino"
    speed = [
        "dyno",
        "infer",
        str(files.onnx),
        "--engine",
        engines,
        "--precision",
        "int8",
        "--batch",
        "1,8,32",
    ]
    return [*lines, shlex.join(speed)]


def _same_calibration(trial: Trial) -> list[str]:
    """Flags with which `dyno accuracy` finds the same ranges in the cache."""
    asked, usual = trial.calibration or Calibration(), Calibration()
    said = {
        "--data": "LABELLED_IMAGES" if trial.dataset == "synthetic" else trial.dataset,
        "--weights": trial.weights,
        "--preprocess": preprocessing_text(trial.preprocessing.wanted()) if trial.preprocessing else None,
        "--calibration-data": asked.data,
        "--calibration": f"{asked.batches}x{asked.batch_size}",
        "--method": asked.method,
        "--calibration-seed": asked.seed or None,
        "--keep-fp32": asked.keep_fp32 or None,
        "--max-drop": None if asked.max_drop == usual.max_drop else asked.max_drop,
    }
    kept = {"--fp32-first": asked.first_layer, "--fp32-last": asked.last_layer}
    words = [word for flag, value in said.items() if value is not None for word in (flag, str(value))]
    return words + [flag for flag, is_int8 in kept.items() if not is_int8]
