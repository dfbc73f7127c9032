import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from random_networks import Network

from tensordyno.quantize.rectifiers import bounds_in_steps, bounds_of
from tensordyno.quantize.wiring import Wiring


def clip(*bounds):
    network = Network()
    names = [network.constant(np.float32(b), "c") if b is not None else "" for b in bounds]
    network.nodes.append(helper.make_node("Clip", ["images", *names], ["held"], name="clip"))
    network.channels["held"] = 3
    network.head("held")
    model = network.model()
    return model.graph.node[0], Wiring(model.graph)


@pytest.mark.parametrize(
    "bounds, expected",
    [
        ((0, 6), (0, 6)),
        ((), (-np.inf, np.inf)),
        ((-1,), (-1, np.inf)),
        ((None, 2), (-np.inf, 2)),
    ],
)
def test_bounds(bounds, expected):
    assert bounds_of(*clip(*bounds)) == expected


def test_relu_has_one_bound():
    node = helper.make_node("Relu", ["images"], ["held"])
    wiring = clip()[1]
    assert bounds_of(node, wiring) == (0, np.inf)
    assert bounds_in_steps(node, wiring, np.float32(0.1), 128) == (128, 255)


@given(
    low=st.floats(-8, 0, width=32),
    high=st.floats(0.125, 8, width=32),
    step=st.floats(1 / 128, 0.125, width=32),
    values=st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=20),
)
def test_holding_steps_is_rounding_what_was_held(low, high, step, values):
    node, wiring = clip(low, high)
    least, most = bounds_in_steps(node, wiring, np.float32(step), 128)
    x = np.array(values, np.float32)
    rounded = lambda x: np.clip(np.rint(x / np.float32(step)) + 128, 0, 255)  # noqa: E731
    np.testing.assert_array_equal(np.clip(rounded(x), least, most), rounded(np.clip(x, low, high)))
