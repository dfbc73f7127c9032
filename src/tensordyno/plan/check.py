"""Whether all that a spec names exists: networks, engines, datasets, sensors, files, interpreters.

Only names and the presence of files are looked at; what is inside a file is the worker's to judge.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from tensordyno.datasets.base import DATASETS, member_of
from tensordyno.engines.base import ENGINES
from tensordyno.errors import DataError, SpecError, UnknownName
from tensordyno.models.base import cards
from tensordyno.plan.calibration import check_methods
from tensordyno.plan.options import check_options
from tensordyno.records.trial import EngineChoice
from tensordyno.spec.places import KeyPath, Places
from tensordyno.spec.schema import Block, ModelChoice, Spec
from tensordyno.telemetry.base import REPLAY, SOURCES

_OTHER_MODELS = "Also: torchvision:NAME, timm:NAME, FILE.onnx, package.module:function."


def check_names(spec: Spec, places: Places) -> None:
    """Raise SpecError for a name that means nothing here, DataError for a file that is not there.

    Slugs: unknown-model, engine-file, unknown-engine, unknown-option, bad-option, unknown-dataset,
    unknown-sensor, unknown-calibration-method, bad-method; missing-model, missing-weights, missing-data,
    missing-interpreter, missing-recording.
    """
    for path, part in _parts(spec):
        for index, model in enumerate(part.models or ()):
            _check_model(model, (*path, "models", index), places)
        for index, engine in enumerate(part.engines or ()):
            _check_engine(engine, (*path, "engines", index), places)
        _check_dataset(part.dataset or None, (*path, "dataset"), places)
        _check_weights(part.weights or None, (*path, "weights"), places)
        if part.calibration:
            check_methods(part.calibration, (*path, "calibration"), places)
            _check_dataset(part.calibration.data, (*path, "calibration", "data"), places)
    for index, source in enumerate(spec.telemetry.sources or ()):
        _check_source(source, ("telemetry", "sources", index), places)


def _parts(spec: Spec) -> Iterator[tuple[KeyPath, Spec | Block]]:
    yield (), spec
    for index, block in enumerate(spec.blocks):
        yield ("blocks", index), block


def _unknown(
    kind: str, name: str, known: tuple[str, ...], path: KeyPath, places: Places, *, extra: str = ""
) -> SpecError:
    wrong = UnknownName(kind, name, known, extra)
    sentence = wrong.sentence[0].lower() + wrong.sentence[1:]
    return places.error(path, wrong.slug, sentence, wrong.remedy)


def _check_model(model: ModelChoice, path: KeyPath, places: Places) -> None:
    if model.name.lower().endswith(".onnx"):
        _need_file(model.name, "missing-model", "model file", path, places)
    elif model.name.lower().endswith(".engine"):
        text = f"{model.name} is an engine file, and the network that it was built from is measured instead."
        remedy = "Type: dyno infer MODEL --engine forge (it takes the kernels that dyno build chose)"
        raise places.error(path, "engine-file", text, remedy)
    elif ":" not in model.name and model.name not in cards():
        raise _unknown("model", model.name, tuple(cards()), path, places, extra=_OTHER_MODELS)
    _check_dataset(model.dataset, (*path, "dataset"), places)
    _check_weights(model.weights, (*path, "weights"), places)


def _check_engine(engine: EngineChoice, path: KeyPath, places: Places) -> None:
    if engine.name not in ENGINES.names():
        raise _unknown("engine", engine.name, ENGINES.names(), path, places)
    check_options(engine, path, places)
    if engine.python is not None and not os.access(Path(engine.python).expanduser(), os.X_OK):
        text = f"{engine.python} is no Python interpreter that can be run."
        remedy = "Give the path of an interpreter, for example /opt/env/bin/python."
        raise DataError("missing-interpreter", places.sentence((*path, "python"), text), remedy)


def _check_source(source: str, path: KeyPath, places: Places) -> None:
    name, _, recording = source.partition(":")
    if name == REPLAY:
        _need_file(recording or "of no name", "missing-recording", "recording", path, places)
    elif source not in SOURCES.names():
        raise _unknown("sensor", source, SOURCES.names(), path, places, extra="Also: replay:FILE.")


def _check_weights(weights: str | None, path: KeyPath, places: Places) -> None:
    if weights is not None:
        _need_file(weights, "missing-weights", "checkpoint", path, places)


def _check_dataset(dataset: str | None, path: KeyPath, places: Places) -> None:
    if dataset is None:
        return
    member = member_of(dataset)
    if member not in DATASETS.names():
        extra = "Also: a folder of images (./FOLDER) or FILE.npz."
        raise _unknown("dataset", dataset, DATASETS.names(), path, places, extra=extra)
    if DATASETS.literal(member, "READS_PATH") and not Path(dataset).expanduser().exists():
        text = f"there is no file or folder {dataset}."
        remedy = "Give a folder of images or an .npz file; relative paths start where dyno is called."
        raise DataError("missing-data", places.sentence(path, text), remedy)


def _need_file(name: str, slug: str, what: str, path: KeyPath, places: Places) -> None:
    if not Path(name).expanduser().is_file():
        remedy = "Relative paths start where dyno is called."
        raise DataError(slug, places.sentence(path, f"there is no {what} {name}."), remedy)
