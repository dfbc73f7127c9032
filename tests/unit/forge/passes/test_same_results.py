"""Every pass, over graphs at random: after it the graph computes what it did before."""

import numpy as np
import pytest
from forge_graphs import check_order, networks
from hypothesis import given

from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes import (
    absorb_quantization,
    cancel_quantization,
    drop_dead,
    drop_identities,
    float_weights,
    fold_batch_norm,
    fuse_activation,
    fuse_residual,
    move_quantization,
    pad_into_window,
    raise_activation,
    reshape_to_image,
)
from tensordyno.forge.simplify import simplify

PASSES = {
    "absorb_quantization": absorb_quantization.run,
    "cancel_quantization": cancel_quantization.run,
    "drop_dead": drop_dead.run,
    "drop_identities": drop_identities.run,
    "float_weights": float_weights.run,
    "fold_batch_norm": fold_batch_norm.run,
    "fuse_activation": fuse_activation.run,
    "fuse_residual": lambda graph: fuse_residual.run(graph, exact=True),
    "move_quantization": move_quantization.run,
    "pad_into_window": pad_into_window.run,
    "raise_activation": raise_activation.run,
    "reshape_to_image": reshape_to_image.run,
}


@pytest.mark.parametrize("name", PASSES)
@given(drawn=networks(quantized=True))
def test_a_pass_alone_keeps_every_bit_of_a_rounded_network(name, drawn):
    graph, images = drawn
    simple = PASSES[name](graph)
    check_order(simple)
    np.testing.assert_array_equal(evaluate(simple, images), evaluate(graph, images))


@given(drawn=networks(quantized=True))
def test_so_do_all_of_them_one_after_the_other(drawn):
    graph, images = drawn
    expected = evaluate(graph, images)
    for _ in range(2):
        for one in (*PASSES.values(), *reversed(PASSES.values())):
            graph = one(graph)
            check_order(graph)
            np.testing.assert_array_equal(evaluate(graph, images), expected)


@given(drawn=networks(quantized=True))
def test_and_the_pipeline_which_then_finds_nothing_more(drawn):
    graph, images = drawn
    simple = simplify(graph, exact=True)
    check_order(simple)
    np.testing.assert_array_equal(evaluate(simple, images), evaluate(graph, images))
    assert simplify(simple, exact=True) is simple


@given(drawn=networks())
def test_real_networks_change_by_the_rounding_of_float32(drawn):
    graph, images = drawn
    expected = evaluate(graph, images)
    for simple in (*(one(graph) for one in PASSES.values()), simplify(graph)):
        check_order(simple)
        np.testing.assert_allclose(evaluate(simple, images), expected, atol=1e-4 * np.abs(expected).max())
