"""Which tensors share a storage, and how the views of one lie in it."""

import pytest
from forge_graphs import Network

from tensordyno.forge import graph as g
from tensordyno.forge.placement import place
from tensordyno.forge.program import Format


@pytest.fixture
def net():
    return Network(3, 4, 6)


def conv(net, channels, scale=None, unsigned=False, x="images"):
    """A layer that makes tensors of that scale."""
    weight = net.numbers(channels, net.shape(x)[0], 1, 1)
    return net.add(g.Convolution, x, (channels, *net.shape(x)[1:]), scale, unsigned, weight=weight)


def concat(net, *parts, scale=None, unsigned=False):
    shape = (sum(net.shape(part)[0] for part in parts), *net.shape(parts[0])[1:])
    return net.add(g.Concat, parts, shape, scale, unsigned)


def placed(net, whole, real=Format.FP16):
    """The views, with a layer behind `whole` that makes the logits."""
    return place(net.graph(net.relu(whole)), real).views


def where(view):
    return view.storage, view.first, view.channels


def test_parts_are_made_where_the_concatenation_stands(net):
    parts = [conv(net, channels) for channels in (24, 7, 40)]
    whole = concat(net, *parts)
    views = placed(net, whole)
    assert [where(views[part]) for part in parts] == [(whole, 0, 24), (whole, 24, 7), (whole, 31, 40)]
    assert where(views[whole]) == (whole, 0, 71)
    assert {views[name].pitch for name in (whole, *parts)} == {80}


def test_concatenations_of_concatenations(net):
    first, *parts = [conv(net, channels) for channels in (20, 3, 40, 16)]
    inner = concat(net, *parts[:2])
    middle = concat(net, parts[2], inner)
    whole = concat(net, first, middle)
    views = placed(net, whole)
    expected = [(20, 59), (20, 16), (36, 43), (36, 3), (39, 40)]
    found = [where(views[name]) for name in (middle, parts[2], inner, *parts[:2])]
    assert found == [(whole, *place) for place in expected]


def test_a_part_through_a_reshape(net):
    pixel = net.mean(conv(net, 40))
    whole = concat(net, net.reshape(pixel, 40), net.reshape(net.mean(conv(net, 24)), 24))
    views = placed(net, whole)
    assert where(views[pixel]) == (whole, 0, 40)
    assert (views[pixel].height, views[pixel].pitch) == (1, 64)


@pytest.mark.parametrize(("scale", "unsigned"), [(0.25, False), (0.5, True), (None, False)])
def test_other_steps_have_a_place_of_their_own(net, scale, unsigned):
    same, other = conv(net, 24, 0.5), conv(net, 24, scale, unsigned)
    views = placed(net, concat(net, same, other, scale=0.5))
    assert views[same].storage != other
    assert views[other].storage == other


def test_the_image_stays_where_it_is(net):
    seen = net.reshape("images", 3, 6, 4)
    back = net.reshape(seen, 3, 4, 6)
    views = placed(net, concat(net, back, conv(net, 24)))
    assert where(views[back]) == ("images", 0, 3)
    assert views["images"].pitch == 3


def test_a_part_of_two_concatenations_stands_in_the_first(net):
    shared, other = conv(net, 24), conv(net, 24)
    one, two = concat(net, other, shared), concat(net, shared, shared)
    whole = concat(net, one, two)
    views = placed(net, whole)
    assert (where(views[shared]), where(views[two])) == ((whole, 24, 24), (whole, 48, 48))


def test_logits_stay_where_the_user_finds_them(net):
    logits = net.relu("images")
    last = concat(net, logits, logits)
    found = place(net.graph(logits), Format.FP32)
    assert found.views[logits].storage == logits
    assert set(found.storages) == {"images", logits, last}


def test_logits_that_are_concatenated_are_wider_than_their_parts(net):
    parts = [conv(net, 24) for _ in range(2)]
    logits = concat(net, *parts)
    narrow, wide = (place(net.graph(logits), real) for real in (Format.FP16, Format.FP32))
    assert [narrow.views[name].format for name in (*parts, logits)] == ["fp16", "fp16", "fp32"]
    assert narrow.views[parts[0]].storage == parts[0]
    assert wide.views[parts[0]].storage == logits


def test_what_is_reshaped_to_logits_is_stored_as_they_are():
    net = Network(8, 1, 1)
    made = net.relu("images")
    views = place(net.graph(net.reshape(made, 8)), Format.FP16).views
    assert views["images"].format is Format.FP16
    assert views[made].format is Format.FP32


@pytest.mark.parametrize(
    ("shape", "pitch"), [((3, 4, 6), 3), ((1, 4, 6), 1), ((20, 4, 6), 20)], ids=["rgb", "grey", "many"]
)
def test_only_the_image_has_no_padding(shape, pitch):
    net = Network(*shape)
    made = net.relu("images")
    found = place(net.graph(net.relu(made)), Format.BF16)
    assert found.views["images"].pitch == pitch
    padded = -(-shape[0] // 16) * 16
    assert found.views[made].pitch == padded
    assert found.storages["images"] == 24 * pitch * 2
    assert found.storages[made] == 24 * padded * 2


def test_pixels_of_a_flattened_image_are_its_features():
    net = Network(1, 5, 7)
    flat = net.reshape("images", 35)
    view = placed(net, flat)[flat]
    assert (view.storage, view.height, view.width, view.channels, view.pitch) == ("images", 1, 1, 35, 35)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("channels", "pitch"), [((60, 3), 80), ((60, 4), 80), ((48, 16), 64), ((24, 7), 48)])
def test_a_part_is_never_taken_for_the_whole(net, channels, pitch, nested):
    parts = [conv(net, each) for each in channels]
    whole = concat(net, *parts)
    views = placed(net, concat(net, whole) if nested else whole)
    assert views[whole].pitch == pitch
    assert not any(views[part].is_whole for part in parts)
