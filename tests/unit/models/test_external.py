import importlib.util
import sys

import pytest
import torch

from tensordyno.errors import DataError, MissingPackage, UnknownName
from tensordyno.models.external import Origin, build_external, origin_of, source_file

OWN_NETWORKS = """
import torch
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7))

def grey():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), {"input_shape": (1, 8, 8), "dataset": "fashion"}

def detector():
    return nn.Conv2d(3, 4, 3)

def wrong_card():
    return nn.Flatten(), {"input_shape": "large"}

def raises():
    raise ValueError("no such layer")

def number():
    return 5

CONSTANT = 3
"""


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(OWN_NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "own_networks.py"
    sys.modules.pop("own_networks", None)


@pytest.mark.parametrize(
    ("model", "origin"),
    [
        ("resnet50", Origin.CATALOGUE),
        ("torchvision:resnet50", Origin.TORCHVISION),
        ("timm:vit_tiny", Origin.TIMM),
        ("package.module:function", Origin.FUNCTION),
        ("some/FILE.onnx", Origin.ONNX),
        ("C:odd/FILE.ONNX", Origin.ONNX),
    ],
)
def test_a_name_tells_where_the_network_comes_from(model, origin):
    assert origin_of(model) is origin


def test_a_function_gives_a_module(own_networks):
    before = torch.get_rng_state()
    module, card = build_external("own_networks:small", seed=1)
    again, _ = build_external("own_networks:small", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(module[0].weight, again[0].weight)
    assert (card.name, card.input_shape, card.classes) == ("own_networks:small", (3, 224, 224), 7)
    assert not module.training


def test_a_function_may_return_a_card(own_networks):
    _, card = build_external("own_networks:grey", seed=0)
    assert (card.input_shape, card.dataset, card.classes) == ((1, 8, 8), "fashion", 3)


@pytest.mark.parametrize(
    ("function", "slug", "words"),
    [
        ("absent", "unknown-function", "no function 'absent'"),
        ("CONSTANT", "unknown-function", "no function 'CONSTANT'"),
        ("raises", "broken-function", "ValueError: no such layer"),
        ("number", "broken-function", "returned int"),
        ("wrong_card", "broken-function", "input_shape"),
        ("detector", "not-a-classifier", "(1, 4, 222, 222)"),
    ],
)
def test_what_is_no_classifier_function_is_refused(own_networks, function, slug, words):
    with pytest.raises(DataError) as caught:
        build_external(f"own_networks:{function}", seed=0)
    assert caught.value.slug == slug
    assert words in caught.value.sentence
    assert "\n" not in caught.value.line()


def test_a_module_that_cannot_be_imported_is_refused():
    with pytest.raises(DataError, match="No module named 'no_such_package'"):
        build_external("no_such_package.nets:make", seed=0)


def test_the_file_of_a_function_is_found_without_importing_it(own_networks):
    assert source_file("own_networks:small") == own_networks
    assert "own_networks" not in sys.modules
    assert source_file("tensordyno.models.resnet:build").name == "resnet.py"
    assert source_file("tensordyno.models:build").name == "__init__.py"
    assert source_file("no_such_package.nets:make") is None


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_missing_library_is_named_with_its_extra(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)  # Python's own way to say: not to be had
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=library) as caught:
        build_external(f"{library}:resnet18", seed=0)
    assert f"tensordyno[{library}]" in caught.value.remedy


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed")
def test_torchvisions_networks_bring_their_own_preprocessing():
    _, card = build_external("torchvision:inception_v3", seed=0)
    assert (card.input_shape, card.preprocessing.resize, card.classes) == ((3, 299, 299), 342, 1000)
    with pytest.raises(UnknownName, match="no model called") as caught:
        build_external("torchvision:resnet49", seed=0)
    assert "torchvision:resnet" in caught.value.remedy


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_timms_networks_bring_their_own_preprocessing():
    _, card = build_external("timm:inception_v4", seed=0)
    assert (card.input_shape, card.preprocessing.mean) == ((3, 299, 299), (0.5, 0.5, 0.5))
