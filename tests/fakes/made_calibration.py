"""A calibration as a worker would have left it: folders of a prepared network and of its Q/DQ files."""

from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from tensordyno.cli.calibrating import Quantized
from tensordyno.records.calibration import (
    CalibrationTable,
    LayerFacts,
    MethodScore,
    TensorRange,
    facts_of,
)
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.vocabulary import WeightsKind

LAYERS = (
    LayerFacts(name="conv1", op="Conv", int8=True, sqnr_db=31.25),
    LayerFacts(name="conv2", op="Conv", int8=False, reason="the most sensitive", sqnr_db=12.5),
    LayerFacts(name="fc", op="Gemm", int8=True, sqnr_db=40.0),
)
TABLE = CalibrationTable(
    model="lenet5_fashion",
    model_hash="0" * 16,
    data="fashion",
    data_hash="1" * 16,
    images=400,
    batch_size=25,
    seed=0,
    method="mse",
    asked_method="auto",
    ranges={"images": TensorRange(threshold=2.0, low=-0.5, high=2.5)},
    layers=LAYERS,
    tried=(
        MethodScore(method="mse", images=100, sqnr_db=30.0, agreement=0.99, drop=0.01),
        MethodScore(method="minmax", images=100, sqnr_db=None, agreement=0.5, drop=None),
    ),
    seconds=1.5,
    warnings=("Only 80 images. [few-calibration-images]",),
)
FACTS = facts_of(TABLE, reused=False)
MODEL = ModelFacts(
    name="lenet5_fashion",
    input_shape=(1, 28, 28),
    classes=10,
    parameters=1,
    macs=1,
    weights=WeightsKind.PACKAGED,
    weights_hash="2" * 16,
    preprocessing=Preprocessing(),
)


def made_calibration(root: Path, facts=FACTS, **model) -> Quantized:
    """Both folders below `root`; `model` changes facts of the network."""
    prepared, folder = root / "prepared", root / "quantized"
    for made in (prepared, folder):
        made.mkdir(parents=True)
    (prepared / "facts.json").write_bytes(msgspec.json.encode(replace(MODEL, **model)))
    (prepared / "model.onnx").write_bytes(bytes(2048))
    np.savez(prepared / "reference.npz", images=np.zeros(1))
    for form in ("uint8", "int8"):
        (folder / f"model.{form}.onnx").write_text(f"{form} form")
    (folder / "table.json").write_bytes(msgspec.json.encode(TABLE))
    return Quantized(folder, prepared, facts)
