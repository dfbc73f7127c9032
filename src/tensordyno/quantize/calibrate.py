"""Calibrates a prepared network for INT8: the one function that the worker calls."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tensordyno.datasets.base import open_dataset
from tensordyno.datasets.requests import to_test
from tensordyno.models.base import PreparedModel
from tensordyno.quantize import cache
from tensordyno.quantize.base import Form, Placement, QuantizedModel
from tensordyno.quantize.disjoint import check_disjoint
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.images import CalibrationImages
from tensordyno.quantize.methods.base import AUTO, method
from tensordyno.quantize.placement import place
from tensordyno.quantize.qdq import write_qdq
from tensordyno.quantize.study import Study
from tensordyno.quantize.table_file import FILE_NAME, check_table, read_table, write_table
from tensordyno.records.calibration import Calibration, CalibrationTable
from tensordyno.records.trial import Trial

if TYPE_CHECKING:
    from onnx import ModelProto

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


def quantize(
    prepared: PreparedModel,
    trial: Trial,
    root: Path,
    *,
    sensitivity: bool = False,
    table: Path | None = None,
    progress: Progress = lambda doing, done, total: None,
) -> tuple[QuantizedModel, bool]:
    """The network's Q/DQ files and calibration table in a folder below `root`; whether no image was run.

    What was made before for the same weights, images and wishes is reused, whatever engine, device or
    batch size asks. With `sensitivity` the layers are ranked in any case; `table` is the file of a table
    whose ranges are used instead of calibrating.
    Raises DataError (`calibration-overlaps`, `too-few-to-compare`, `bad-table`, `table-of-another-model`,
    `already-quantized`, `nothing-to-quantize`, `bad-range`, and those of the data), UnknownName and
    UsageError for the method, MissingPackage, StoreError.
    """
    graph = open_graph(prepared.onnx)
    graph_key = cache.graph_key(graph)
    if table is not None:
        return _with_table(graph, graph_key, table, root), True
    calibration = trial.calibration or Calibration()
    _check_method(calibration.method)
    images = CalibrationImages(trial, prepared.facts)
    _check_test_images(images, trial)
    study = Study(
        graph,
        graph_key,
        images,
        calibration,
        root=root,
        threads=trial.threads or 0,
        progress=progress,
    )

    def make(folder: Path) -> None:
        found, placement = study.carry_out(prepared.facts.name, sensitivity=sensitivity)
        _write(graph, placement, found, folder)

    wishes = msgspec.json.encode([_wishes(calibration), sensitivity]).decode()
    folder, reused = cache.quantized(root, cache.key_of(graph_key, images.key, wishes), make)
    stored = read_table(folder / FILE_NAME)
    # the same images and weights may have gone by other names, and have been read in other batches
    shown = msgspec.structs.replace(
        stored,
        model=prepared.facts.name,
        data=images.name,
        batch_size=calibration.batch_size,
        seed=calibration.seed,
    )
    return QuantizedModel(folder=folder, table=shown), reused


def _check_method(name: str) -> None:
    """Let a wrong name or number be told before hundreds of images are run."""
    if name != AUTO:
        any_values = Histogram()
        any_values.add([1.0])
        method(name)(any_values)


def _check_test_images(images: CalibrationImages, trial: Trial) -> None:
    """Only labelled images test; those beyond the limits of the trial do not."""
    test = open_dataset(to_test(trial))
    if test.labelled and trial.accuracy_images:
        tested = test.fingerprints(max(trial.accuracy_images, trial.verify_images))
        check_disjoint(images.fingerprints, tested, images.name, test.name)


def _wishes(calibration: Calibration) -> Calibration:
    """What of a calibration may change the table, besides the images: not how they are read."""
    same = Calibration()
    return msgspec.structs.replace(
        calibration,
        data=same.data,
        batches=same.batches,
        batch_size=same.batch_size,
        seed=same.seed,
        max_drop=calibration.max_drop if calibration.keep_fp32 == AUTO else same.max_drop,
    )


def _with_table(graph: "ModelProto", graph_key: str, path: Path, root: Path) -> QuantizedModel:
    """Q/DQ files with the ranges, and the layers in INT8, of a table made before, here or elsewhere."""
    table = read_table(path)
    check_table(table, path, graph_key)
    placement = place(graph, keep=[layer.name for layer in table.layers if not layer.int8])
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    key = cache.key_of(graph_key, "table", content)
    folder, _ = cache.quantized(root, key, lambda folder: _write(graph, placement, table, folder))
    return QuantizedModel(folder=folder, table=table)


def _write(graph: "ModelProto", placement: Placement, table: CalibrationTable, folder: Path) -> None:
    from onnx import save

    made = QuantizedModel(folder=folder, table=table)
    for form in Form:
        save(write_qdq(graph, placement, table.ranges, form), made.onnx(form))
    write_table(table, folder / FILE_NAME)
