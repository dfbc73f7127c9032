"""Networks that know something, trained here or shipped, and one call that calibrates them."""

import warnings

import numpy as np
import onnx
import pytest
from digits_network import prepared_digits

from tensordyno.datasets.base import InputFormat, open_dataset
from tensordyno.datasets.requests import to_test
from tensordyno.quantize.base import Form
from tensordyno.quantize.calibrate import quantize
from tensordyno.quantize.score import logits_of
from tensordyno.records.calibration import Calibration
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.vocabulary import Precision


class Laboratory:
    """A prepared network with its data and a cache of its own."""

    def __init__(self, prepared, dataset, root):
        self.prepared = prepared
        self.root = root
        self.dataset = str(dataset)
        self.heard = []

    def trial(self, **changes):
        own = [name for name in changes if name not in Calibration.__struct_fields__]
        fields = {name: changes.pop(name) for name in own}
        whole = {
            "id": "t",
            "model": self.prepared.facts.name,
            "engine": EngineChoice(name="onnxruntime"),
            "precision": Precision.INT8,
            "batch_size": 1,
            "dataset": self.dataset,
            "threads": 2,
            "calibration": Calibration(**changes),
        }
        return Trial(**(whole | fields))

    def quantize(self, sensitivity=False, table=None, root=None, **changes):
        """The QuantizedModel and whether it was reused; `heard` holds the progress."""
        self.heard = []
        return quantize(
            self.prepared,
            self.trial(**changes),
            root or self.root,
            sensitivity=sensitivity,
            table=table,
            progress=lambda *step: self.heard.append(step),
        )

    def drop(self, made, form=Form.UINT8):
        """FP32 top-1 less INT8 top-1 on the test images."""
        images, labels = self._test_images()
        found = [logits_of(onnx.load(path), images, 2) for path in (self.prepared.onnx, made.onnx(form))]
        fp32, int8 = (float((logits.argmax(axis=1) == labels).mean()) for logits in found)
        return fp32 - int8

    def _test_images(self):
        facts = self.prepared.facts
        wanted = InputFormat(
            shape=facts.input_shape, classes=facts.classes, preprocessing=facts.preprocessing
        )
        (batch,) = open_dataset(to_test(self.trial())).batches(2000, wanted, 2000)
        return batch.images, batch.labels


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("digits")


@pytest.fixture(scope="session")
def prepared(digits_folder):
    """The digits network; read only."""
    return prepared_digits(digits_folder)


@pytest.fixture
def digits(prepared, tmp_path):
    return Laboratory(prepared, prepared.folder / "digits.npz", tmp_path / "cache")


@pytest.fixture
def spoilt(tmp_path):
    """A digits network with one layer that INT8 ruins, and the name of that layer.

    The third convolution reads a channel that is always 0, with weights that make its steps 400 times wider.
    """
    import copy

    import torch
    from digits_network import trained_digits

    network = copy.deepcopy(trained_digits())
    with torch.no_grad():
        network.second[1].weight[0] = network.second[1].bias[0] = 0
        network.third[0].weight[:, 0] = 400 * network.third[0].weight.abs().max()
    (tmp_path / "model").mkdir()
    made = prepared_digits(tmp_path / "model", network)
    laboratory = Laboratory(made, tmp_path / "model" / "digits.npz", tmp_path / "cache")
    return laboratory, "/third/third.0/Conv"


@pytest.fixture(scope="session", params=["lenet5_fashion", "resnet8_fashion", "vgg6_fashion"])
def fashion(request, tmp_path_factory):
    """A shipped network with its shipped images, exported the fast way."""
    import torch

    from tensordyno.models.base import BATCH_AXIS, PreparedModel
    from tensordyno.models.resolve import resolve
    from tensordyno.records.model import ModelFacts
    from tensordyno.vocabulary import WeightsKind

    folder = tmp_path_factory.mktemp(request.param)
    resolved = resolve(request.param)
    card = resolved.card
    with warnings.catch_warnings():  # the old exporter is deprecated, and ten times faster
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            resolved.module,
            (torch.zeros(2, *card.input_shape),),
            folder / "model.onnx",
            dynamo=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: BATCH_AXIS}, "logits": {0: BATCH_AXIS}},
        )
    np.savez(folder / "reference.npz", images=np.zeros((1, *card.input_shape), np.float32))
    facts = ModelFacts(
        name=card.name,
        input_shape=card.input_shape,
        classes=card.classes,
        parameters=0,
        macs=0,
        weights=WeightsKind.PACKAGED,
        weights_hash="h",
        preprocessing=card.preprocessing,
    )
    prepared = PreparedModel(
        facts=facts,
        folder=folder,
        onnx=folder / "model.onnx",
        weights=None,
        reference=folder / "reference.npz",
    )
    return Laboratory(prepared, "fashion", folder / "cache")
