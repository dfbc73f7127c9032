import json
from dataclasses import replace

import numpy as np
import pytest
from forge_kernels import relu_program
from fused_graphs import network
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.choices import ChoiceCache, Chosen, facts_of, key_of
from tensordyno.forge.graph import Clamp, Convolution, Fused
from tensordyno.forge.lower import lower
from tensordyno.forge.passes import fuse_convolutions
from tensordyno.forge.program import Format, Operation, View
from tensordyno.vocabulary import Precision

CHOSEN = Chosen(kernel="relu", choice=(64, 0), us=12.5)


def view(storage="a", **changed):
    facts = {"format": Format.INT8, "height": 4, "width": 6, "channels": 16, "pitch": 16, "scale": 0.1}
    return View(storage=storage, **{**facts, **changed})


def operation(**changed):
    facts = {"weight": np.ones((16, 16, 1, 1), np.int8), "weight_scale": np.ones(16, np.float32)}
    node = Convolution(**{"name": "n", "inputs": ("a",), "output": "b", "clamp": Clamp(), **facts, **changed})
    return Operation(node=node, inputs=(view(),), output=view("b", scale=0.2), precision=Precision.INT8)


SAME = {
    "name": operation(name="m", inputs=("x",), output="y"),
    "weights": operation(weight=np.zeros((16, 16, 1, 1), np.int8)),
    "scale": replace(operation(), inputs=(view(scale=0.7),)),
    "storages": replace(operation(), inputs=(view("z"),)),
}
OTHER = {
    "stride": operation(stride=(2, 1)),
    "clamp": operation(clamp=Clamp(0.0, 6.0)),
    "no clamp": operation(clamp=None),
    "bias": operation(bias=np.ones(16, np.float32)),
    "weights' format": operation(weight=np.ones((16, 16, 1, 1), np.float32)),
    "kernel": operation(weight=np.ones((16, 16, 3, 3), np.int8)),
    "precision": replace(operation(), precision=Precision.FP16),
    "width": replace(operation(), inputs=(view(width=7),)),
    "pitch": replace(operation(), inputs=(view(pitch=32),)),
    "format": replace(operation(), output=view("b", scale=0.2, format=Format.UINT8)),
    "place": replace(operation(), inputs=(view(first=8, pitch=32),)),
    "one scale": replace(operation(), inputs=(view(scale=0.2),)),
    "one storage": replace(operation(), output=view("a", scale=0.2)),
    "residual": replace(operation(), inputs=(view(), view("c", scale=0.3))),
}


@pytest.mark.parametrize("name", SAME)
def test_names_and_numbers_do_not_matter(name):
    assert key_of(SAME[name], 8) == key_of(operation(), 8)


@pytest.mark.parametrize("name", OTHER)
def test_what_speed_depends_on_does(name):
    assert key_of(OTHER[name], 8) != key_of(operation(), 8)


def test_places_that_are_aligned_alike_are_alike():
    first, second = (replace(operation(), inputs=(view(first=first, pitch=64),)) for first in (16, 32))
    assert key_of(first, 1) == key_of(second, 1)


def test_batch_sizes_have_keys_of_their_own():
    assert len({key_of(operation(), size) for size in (1, 2, 8)}) == 3


def fused(pattern="both", **settings):
    """The fused operation of a network."""
    net, logits = network(pattern, **settings)
    program = lower(fuse_convolutions.run(net.graph(logits)), Precision.INT8)
    return next(each for each in program.operations if isinstance(each.node, Fused))


def rescaled(operation, scale):
    """The same with another scale of what lies between its first part and the next."""
    first, *others = operation.node.between
    between = (replace(first, scale=scale), *others)
    return replace(operation, node=replace(operation.node, between=between))


@pytest.mark.parametrize("each", [operation(), fused()])
def test_facts_are_json(each):
    assert json.loads(json.dumps(facts_of(each, 8))) == facts_of(each, 8)


def test_parts_are_told_apart_but_not_by_names_and_numbers():
    one, other = fused(), fused(seed=5)
    other = rescaled(replace(other, node=replace(other.node, name="other")), 0.5)
    assert key_of(one, 8) == key_of(other, 8)
    assert "0.07" not in json.dumps(facts_of(one, 8))
    others = [fused("pair"), fused("pair with residual"), fused("shortcut"), fused(stride=(2, 2))]
    others += [fused(width=32), fused("pair", width=32)]
    assert len({key_of(each, 8) for each in (one, *others)}) == 7


def test_scales_of_what_lies_between_may_be_those_of_others():
    one = fused("pair")
    same = [rescaled(one, view.scale) for view in (one.inputs[0], one.output)]
    assert len({key_of(each, 8) for each in (one, *same)}) == 3


def test_how_parts_are_connected_is_told():
    """The two results between change places: the other one is the residual."""
    one = fused("both")
    first, second, last = one.node.parts
    turned = replace(last, inputs=last.inputs[::-1])
    assert key_of(replace(one, node=replace(one.node, parts=(first, second, turned))), 8) != key_of(one, 8)


ONES = st.builds(
    Chosen,
    kernel=st.text(min_size=1),
    choice=st.lists(st.integers(0, 2**40)).map(tuple),
    us=st.none() | st.floats(0, 1e6),
)
CHOICES = ONES | st.builds(
    Chosen, kernel=st.just("in_parts"), choice=st.just(()), parts=st.lists(ONES, min_size=2).map(tuple)
)


@given(CHOICES)
def test_what_is_put_is_got(tmp_path_factory, chosen):
    cache = ChoiceCache(tmp_path_factory.mktemp("cache"), "NVIDIA H200")
    cache.put(operation(), 8, chosen)
    assert cache.get(operation(), 8) == chosen
    assert cache.get(operation(), 1) is None


def test_gpus_do_not_share_choices(tmp_path):
    ChoiceCache(tmp_path, "NVIDIA H200").put(operation(), 8, CHOSEN)
    assert ChoiceCache(tmp_path, "NVIDIA H100 PCIe").get(operation(), 8) is None
    assert ChoiceCache(tmp_path, "NVIDIA H200").get(operation(), 8) == CHOSEN


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"facts": {}, "chosen": {}}', b"\xff\x00"])
def test_a_damaged_file_is_made_anew(tmp_path, caplog, damage):
    cache = ChoiceCache(tmp_path, "gpu")
    cache.put(operation(), 8, CHOSEN)
    (path,) = cache.folder.iterdir()
    path.write_bytes(damage)
    assert cache.get(operation(), 8) is None
    assert "made anew" in caplog.text
    cache.put(operation(), 8, CHOSEN)
    assert cache.get(operation(), 8) == CHOSEN


def test_a_file_with_other_facts_is_not_believed(tmp_path):
    cache = ChoiceCache(tmp_path, "gpu")
    cache.put(operation(), 8, CHOSEN)
    (path,) = cache.folder.iterdir()
    path.write_text(path.read_text().replace('"batch_size": 8', '"batch_size": 9'))
    assert cache.get(operation(), 8) is None


def test_a_cache_that_takes_nothing_is_no_failure(tmp_path, caplog):
    (tmp_path / "forge").write_text("a file where the folder should be")
    cache = ChoiceCache(tmp_path, "gpu")
    cache.put(relu_program().operations[0], 1, CHOSEN)
    assert cache.get(relu_program().operations[0], 1) is None
    assert "cannot be kept" in caplog.text
