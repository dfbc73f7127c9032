"""Our definitions against torchvision's: keys, shapes and answers, stored and (where installed) live."""

import importlib.util

import numpy as np
import pytest
import torch

from tensordyno.models.base import cards
from tensordyno.models.resolve import build_definition

from .torchvision_reference import (
    ANSWERED,
    LOGITS,
    SHARED,
    answer,
    seeded_state,
    shapes_of,
    stored,
    their_answer,
)

REFERENCE = stored()
THEIRS = {"torchvision": importlib.util.find_spec("torchvision"), "timm": importlib.util.find_spec("timm")}


def our_answer(name):
    card = cards()[name]
    look = card.preprocessing
    module = build_definition(name, card.classes)
    return module, answer(module, card.input_shape, look.mean, look.std)


@pytest.mark.parametrize("name", SHARED)
def test_keys_and_shapes_are_torchvisions(name):
    with torch.device("meta"):
        ours = shapes_of(build_definition(name, 1000))
    assert ours == REFERENCE[name]["shapes"]


@pytest.mark.parametrize("name", ANSWERED)
def test_answers_are_torchvisions(name):
    theirs = np.array(REFERENCE[name]["logits"])
    _, ours = our_answer(name)
    assert np.abs(ours[:LOGITS] - theirs).max() < 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.skipif(not all(THEIRS.values()), reason="torchvision and timm are not installed")
def test_answers_are_those_of_the_installed_torchvision(name):
    their_module, theirs = their_answer(name)
    our_module, ours = our_answer(name)
    assert shapes_of(our_module) == shapes_of(their_module)
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


@pytest.mark.skipif(not all(THEIRS.values()), reason="torchvision and timm are not installed")
def test_pre_activation_resnet_is_timms_resnetv2():
    from tensordyno.models.external import build_external

    theirs, _ = build_external("timm:resnetv2_50", seed=0)
    ours = build_definition("resnet50_v2", 1000)
    state = seeded_state(ours)
    ours.load_state_dict(state)
    theirs.load_state_dict({_timm_key(k): v for k, v in state.items()} | _as_1x1(state))
    images = torch.from_numpy(np.random.default_rng(3).standard_normal((1, 3, 224, 224), np.float32))
    with torch.no_grad():
        a, b = ours(images), theirs.eval()(images)
    assert (a - b).abs().max() < 1e-4 * b.abs().max()


def _as_1x1(state):
    return {"head.fc.weight": state["fc.weight"][:, :, None, None]}


def _timm_key(key):
    head = {"conv1": "stem.conv", "bn1": "norm", "fc": "head.fc"}
    first, _, rest = key.partition(".")
    if first in head:
        return f"{head[first]}.{rest}"
    block, inner, leaf = rest.split(".")
    inner = {"downsample": "downsample.conv"}.get(inner, inner.replace("bn", "norm"))
    return f"stages.{int(first.removeprefix('layer')) - 1}.blocks.{block}.{inner}.{leaf}"
