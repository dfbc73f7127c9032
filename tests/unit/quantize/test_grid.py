"""The INT8 grid: half a step of error inside, nothing moved twice, ties to even."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tensordyno.quantize.grid import quantize, quantize_dequantize, step

thresholds = st.floats(1e-20, 1e20)
shares = arrays(np.float32, st.integers(1, 50), elements=st.floats(-1, 1, width=32))


@given(thresholds, shares)
def test_a_value_inside_moves_by_at_most_half_a_step(threshold, share):
    values = share * np.float32(threshold)
    moved = np.abs(quantize_dequantize(values, threshold).astype(np.float64) - values)
    rounding = 127 * 2.0**-23 * float(step(threshold))  # of float32 in the division and the product
    assert moved.max() <= 0.5 * float(step(threshold)) + rounding


@given(thresholds, shares)
def test_twice_is_once_and_zero_stays(threshold, share):
    once = quantize_dequantize(share * np.float32(threshold), threshold)
    np.testing.assert_array_equal(quantize_dequantize(once, threshold), once)
    assert quantize_dequantize([0.0], threshold)[0] == 0.0


def test_every_step_is_reached_and_ties_go_to_even():
    exact = np.arange(-127, 128)
    np.testing.assert_array_equal(quantize(exact, 127.0), exact)
    np.testing.assert_array_equal(quantize([0.5, 1.5, 2.5, -0.5, -1.5], 127.0), [0, 2, 2, 0, -2])


def test_beyond_the_range_is_its_end():
    np.testing.assert_array_equal(quantize([127.4, 1e9, -1e9, -127.4], 127.0), [127, 127, -128, -127])
    images = quantize_dequantize(np.full((2, 3), 5.0), 2.0)
    assert images.shape == (2, 3) and images.dtype == np.float32
    np.testing.assert_allclose(images, 2.0, rtol=1e-6)


def test_it_is_what_onnx_runtime_computes():
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    values = np.random.default_rng(0).normal(0, 3, 20_000).astype(np.float32)
    given_ = [
        numpy_helper.from_array(np.asarray(step(7.3)), "scale"),
        numpy_helper.from_array(np.int8(0), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in "xy"]
    graph = helper.make_graph(nodes, "grid", ends[:1], ends[1:], given_)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": values})[0], quantize_dequantize(values, 7.3))
