"""Which reshapes move nothing in memory, and what is said of the others."""

import pytest
from forge_graphs import Network

from tensordyno.errors import Unsupported
from tensordyno.forge import graph as g
from tensordyno.forge.aliases import aliases

STILL = [  # (shape, other shape): the same bytes with channels last, whatever the pitch
    ((8, 1, 1), (8,)),
    ((8,), (8, 1, 1)),
    ((8, 4, 6), (8, 4, 6)),
    ((8, 4, 6), (8, 8, 3)),
    ((1, 4, 6), (1, 1, 24)),
]
MOVING = [((8, 4, 6), (192,)), ((8, 4, 6), (4, 8, 6)), ((12,), (3, 2, 2)), ((8, 1, 1), (2, 4))]


@pytest.mark.parametrize(("shape", "other"), STILL)
def test_a_reshape_that_moves_nothing_is_what_it_reads(shape, other):
    network = Network(*shape)
    made = network.relu("images")
    there = network.reshape(made, *other)
    back = network.reshape(there, *shape)
    last = network.relu(back)
    found = aliases(network.graph(last))
    assert found == {"images": "images", made: made, there: made, back: made, last: last}


@pytest.mark.parametrize(("shape", "other"), MOVING)
def test_any_other_is_refused_by_name(shape, other):
    network = Network(*shape)
    graph = network.graph(network.reshape(network.relu("images"), *other))
    with pytest.raises(Unsupported) as caught:
        aliases(graph)
    assert caught.value.line().startswith(f"Reshape_1 reshapes {shape} to {other}; forge keeps channels last")


@pytest.mark.parametrize(("shape", "other"), [((1, 4, 6), (24,)), ((24,), (1, 4, 6))])
def test_only_an_image_from_outside_has_pixels_side_by_side(shape, other):
    outside, made = Network(*shape), Network(*shape)
    there = outside.reshape("images", *other)
    back = outside.reshape(there, *shape)
    found = aliases(outside.graph(outside.relu(back)))
    assert found[there] == found[back] == "images"
    graph = made.graph(made.reshape(made.relu("images"), *other))
    with pytest.raises(Unsupported):
        aliases(graph)


@pytest.mark.parametrize(("scale", "unsigned"), [(0.25, False), (0.5, True), (None, False)])
def test_what_is_rounded_otherwise_has_bytes_of_its_own(scale, unsigned):
    network = Network(8, 1, 1)
    integers = network.quantize("images", 0.5)
    kept = network.add(g.Reshape, integers, (8,), 0.5)
    other = network.add(g.Reshape, integers, (8,), scale, unsigned)
    found = aliases(network.graph(other))
    assert (found[kept], found[other]) == (integers, other)


def test_logits_are_never_the_image_itself():
    network = Network(8, 1, 1)
    kept = network.reshape("images", 8)
    logits = network.reshape(kept, 8)
    assert aliases(network.graph(logits)) == {"images": "images", kept: "images", logits: logits}
