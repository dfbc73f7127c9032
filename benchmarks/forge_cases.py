"""What forge is judged on: networks prepared and quantized as `dyno infer` does, images, answers to them.

All of it is work of the CPU, and ends in files: a process that holds a GPU only reads them.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort

from tensordyno.datasets.base import FloatArray
from tensordyno.models.base import cards
from tensordyno.models.prepared import load_prepared
from tensordyno.quantize.base import Form
from tensordyno.records.calibration import Calibration
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.quantized_models import QuantizedModels
from tensordyno.vocabulary import Precision
from tensordyno.worker.prepare import reference_images

_TRAINED = Path(__file__).parents[1] / "results" / "cifar10" / "weights"
SMALL_SIDE = 32  # pixels; networks for such images are the trained ones, and cheap to ask
_CLASSES = 10  # of both data sets
_PATIENCE_S = 600
_CALIBRATION = Calibration(batches=2, batch_size=8, method="minmax")  # as in specs/h200_forge.yaml


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How many images each kind of network answers, and the file of CIFAR-10; without, "", Fashion-MNIST."""

    small: int
    large: int
    cifar: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network in one precision.

    `file` is an .npz of images and logits; of an INT8 network also `own`: by ONNX Runtime's INT8 kernels.
    """

    network: str
    precision: Precision
    trained: bool
    onnx: Path
    file: Path


class Cases:
    """Makes the cases of networks, several networks at a time if the caller has threads."""

    def __init__(self, folder: Path, wishes: Wishes, threads: int) -> None:
        """`threads` are those of one network's work; `folder` holds answers and logs."""
        self._folder = folder
        self._wishes = wishes
        self._threads = threads
        self._prepared = PreparedModels(folder, _PATIENCE_S)
        self._quantized = QuantizedModels(folder, _PATIENCE_S)

    def of(self, network: str, precisions: tuple[Precision, ...]) -> list[Case]:
        """The cases of a network. Raises what preparing and quantizing raise."""
        trial = self._trial(network)
        folder = self._prepared.folder_for(trial)
        prepared = load_prepared(Path(folder))
        card = cards()[network]
        count = self._wishes.small if card.input_shape[1] <= SMALL_SIDE else self._wishes.large
        images = reference_images(
            msgspec.structs.replace(trial, dataset=self._images(network), verify_images=count),
            msgspec.structs.replace(card, classes=_CLASSES),  # labels are of no interest, whatever they say
        )
        made = []
        for precision in precisions:
            onnx = prepared.onnx
            if precision is Precision.INT8:
                quantized, _ = self._quantized.folder_for(trial, folder, lambda report: None)
                onnx = Path(quantized) / f"model.{Form.INT8}.onnx"
            file = self._folder / f"{network}-{precision}.npz"
            answers = {"logits": self._answers(onnx, images, optimised=False)}
            if precision is Precision.INT8:
                answers["own"] = self._answers(onnx, images, optimised=True)
            np.savez(file, images=images, **answers)
            trained = bool(trial.weights or card.weights)
            made.append(Case(network=network, precision=precision, trained=trained, onnx=onnx, file=file))
        return made

    def _images(self, network: str) -> str:
        """The data set of real images that a network is asked."""
        return "fashion" if cards()[network].dataset == "fashion" else self._wishes.cifar or "fashion"

    def _trial(self, network: str) -> Trial:
        """What `dyno infer` would plan, with the weights trained for this project where there are some."""
        weights = _TRAINED / f"{network}.safetensors"
        return Trial(
            id=network,
            model=network,
            engine=EngineChoice(name="forge"),
            precision=Precision.INT8,
            batch_size=1,
            device="cuda:0",
            dataset=self._images(network) if weights.is_file() else cards()[network].dataset,
            weights=str(weights) if weights.is_file() else None,
            threads=self._threads,
            calibration=_CALIBRATION,
        )

    def _answers(self, onnx: Path, images: FloatArray, *, optimised: bool) -> FloatArray:
        """Logits by ONNX Runtime on the CPU: node by node as the file says, or with its own INT8 kernels."""
        options, level = ort.SessionOptions(), ort.GraphOptimizationLevel
        options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.intra_op_num_threads = self._threads
        session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        parts = [images[first : first + 8] for first in range(0, len(images), 8)]
        return np.concatenate([session.run(["logits"], {"images": part})[0] for part in parts])
