import pytest
import torch

from tensordyno.errors import UnknownName, UsageError
from tensordyno.models.resolve import build_definition, resolve
from tensordyno.records.model import PreprocessingChange
from tensordyno.vocabulary import WeightsKind


def test_a_packaged_network_brings_its_weights():
    resolved = resolve("lenet5_fashion")
    assert resolved.weights is WeightsKind.PACKAGED
    assert resolved.source == "tensordyno, fashion.py; weights from lenet5_fashion.npz"
    assert resolved.card.dataset == "fashion"


def test_a_checkpoint_wins_over_packaged_weights(tmp_path):
    state = build_definition("lenet5_fashion", 10).state_dict()
    torch.save({k: torch.full_like(v, 0.5) for k, v in state.items()}, tmp_path / "w.pt")
    resolved = resolve("lenet5_fashion", str(tmp_path / "w.pt"))
    assert resolved.weights is WeightsKind.CHECKPOINT
    assert resolved.module is not None
    assert all((v == 0.5).all() for v in resolved.module.state_dict().values())


def test_without_weights_they_are_drawn_from_the_seed():
    first, second = resolve("mobilenet_v2", seed=1), resolve("mobilenet_v2", seed=2)
    assert first.weights is WeightsKind.RANDOM
    assert not torch.equal(first.module.features[0][0].weight, second.module.features[0][0].weight)
    assert not first.module.training


def test_a_function_keeps_the_weights_it_made(tmp_path, monkeypatch):
    text = "from torch import nn\ndef make():\n    net = nn.Linear(2, 2)\n    nn.init.ones_(net.weight)\n"
    text += "    return nn.Sequential(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Linear(6, 2), net)\n"
    (tmp_path / "kept_weights.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    resolved = resolve("kept_weights:make")
    assert resolved.weights is WeightsKind.EMBEDDED
    assert (resolved.module[3].weight == 1).all()


def test_weights_for_an_onnx_file_make_no_sense(tmp_path):
    with pytest.raises(UsageError, match="holds its own weights") as caught:
        resolve(str(tmp_path / "net.onnx"), "w.pt")
    assert caught.value.slug == "weights-in-onnx"


def test_an_unknown_network_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="no model called 'resnet51'"):
        resolve("resnet51")


def test_the_preprocessing_a_user_wants_changes_the_networks_own():
    own = resolve("lenet5_fashion").card.preprocessing
    changed = resolve("lenet5_fashion", preprocessing=PreprocessingChange(mean=(0.5,))).card.preprocessing
    assert changed.mean == (0.5,) and changed.std == own.std and changed.channels == own.channels


def test_channels_last_is_for_onnx_files():
    with pytest.raises(UsageError, match="PyTorch") as caught:
        resolve("lenet5_fashion", preprocessing=PreprocessingChange(layout="nhwc"))
    assert caught.value.slug == "layout-of-module"
