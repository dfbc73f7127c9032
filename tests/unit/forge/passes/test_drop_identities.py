from dataclasses import replace

import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds

from tensordyno.forge import graph as g
from tensordyno.forge.passes.clamps import EVERYTHING
from tensordyno.forge.passes.drop_identities import run

NOTHING = {
    "reshape": (g.Reshape, {}),
    "pad": (g.Pad, {"pads": (0, 0, 0, 0)}),
    "maximum of one": (g.MaxPool, {"kernel": (1, 1), "stride": (1, 1)}),
    "mean of one": (g.AveragePool, {"kernel": (1, 1), "stride": (1, 1), "ceil": True}),
    "mean of an image of one": (g.GlobalAveragePool, {}),
    "concat of one": (g.Concat, {}),
    "open clamp": (g.Activation, {"clamp": EVERYTHING}),
    "times one": (g.Affine, {"factor": np.ones(3, np.float32), "offset": np.zeros(3, np.float32)}),
}


@pytest.fixture
def net():
    return Network(3, 1, 1)


@pytest.mark.parametrize(("kind", "attributes"), NOTHING.values(), ids=NOTHING)
def test_what_does_nothing_is_left_out(net, kind, attributes):
    x = net.conv("images", 3, (1, 1))
    same = net.add(kind, x, net.shape(x), **attributes)
    simple = run(net.graph(net.relu(same)))
    check_order(simple)
    assert kinds(simple) == ["Convolution", "Activation"]


@pytest.mark.parametrize(("kind", "attributes"), NOTHING.values(), ids=NOTHING)
def test_but_not_where_it_changes_the_scale(net, kind, attributes):
    x = net.quantize("images", 0.25)
    graph = net.graph(net.add(kind, x, net.shape(x), 0.5, **attributes))
    assert run(graph) is graph


@pytest.mark.parametrize(
    ("kind", "attributes", "shape"),
    [
        (g.Reshape, {}, (3,)),
        (g.Pad, {"pads": (0, 1, 0, 0)}, (3, 1, 2)),
        (g.Activation, {"clamp": g.Clamp()}, (3, 1, 1)),
        (g.MaxPool, {"kernel": (3, 3), "stride": (1, 1), "pads": (1, 1, 1, 1)}, (3, 1, 1)),
        (g.Affine, {"factor": np.ones(3, np.float32), "offset": np.ones(3, np.float32)}, (3, 1, 1)),
    ],
)
def test_nor_what_does_something(net, kind, attributes, shape):
    graph = net.graph(net.add(kind, net.conv("images", 3, (1, 1)), shape, **attributes))
    assert run(graph) is graph


def test_the_logits_keep_their_name(net):
    x = net.conv("images", 3, (1, 1))
    other = net.relu(x)
    same = net.relu(net.sum(x, other), *(EVERYTHING.low, EVERYTHING.high))
    simple = run(net.graph(same))
    check_order(simple)
    assert simple.output == same and kinds(simple) == ["Convolution", "Activation", "Add"]


def test_an_image_that_is_the_answer_stays(net):
    graph = net.graph(net.relu("images", EVERYTHING.low, EVERYTHING.high))
    assert run(graph) is graph


def test_a_row_of_them_goes_at_once(net):
    x = net.conv("images", 3, (1, 1))
    simple = run(net.graph(net.relu(net.reshape(net.pad(net.reshape(x, 3, 1, 1), 0, 0, 0, 0), 3, 1, 1))))
    assert kinds(simple) == ["Convolution", "Activation"]
    assert replace(simple.nodes[1], inputs=()) == g.Activation(
        name="Activation_4", inputs=(), output="t4", clamp=g.Clamp()
    )
