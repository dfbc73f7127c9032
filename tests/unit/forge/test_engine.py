import numpy as np
import pytest
import torch
from forge_kernels import CPU, RIGHT, relu_graph, relu_kernels
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.errors import UsageError
from tensordyno.forge.choices import Chosen
from tensordyno.forge.engine import Engine, pieces
from tensordyno.forge.kernels import catalogue
from tensordyno.forge.lower import lower
from tensordyno.forge.weights import Weights
from tensordyno.vocabulary import Precision


@pytest.fixture
def engine(monkeypatch):
    """Sixteen classes: the positive parts of sixteen channels; batches of 4 and of 1."""
    monkeypatch.setattr(catalogue, "all_kernels", relu_kernels())
    graph, chosen = relu_graph(1, (16, 1, 1)), Chosen(kernel="relu", choice=(64, RIGHT))
    return Engine(
        graph=graph,
        program=lower(graph, Precision.FP32),
        precision=Precision.FP32,
        choices={4: (chosen,), 1: (chosen,)},
        device=CPU,
        weights=Weights(CPU.torch),
    )


def test_facts(engine):
    assert engine.batch_sizes == (1, 4)
    assert engine.input_shape == (16, 1, 1) and engine.input_dtype == torch.float32
    assert engine.classes == 16 and engine.precision is Precision.FP32
    assert engine.memory_bytes >= (1 + 4) * 16 * 4 * 2
    assert engine.executable(4).batch_size == 4
    with pytest.raises(KeyError):
        engine.executable(2)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 7, 8])
def test_any_number_of_images(engine, count):
    images = torch.randn(count, 16, 1, 1)
    logits = engine(images)
    assert logits.shape == (count, 16) and logits.dtype == torch.float32
    assert torch.equal(logits, images.flatten(1).clamp(min=0))


def test_logits_are_the_callers_own(engine):
    first = engine(torch.ones(4, 16, 1, 1))
    engine(torch.zeros(4, 16, 1, 1))
    assert (first == 1).all()


def test_numpy_and_dlpack(engine):
    images = np.random.default_rng(0).standard_normal((3, 16, 1, 1), np.float32)
    logits = engine(images)
    expected = images[:, :, 0, 0].clip(0)
    np.testing.assert_array_equal(logits, expected)
    np.testing.assert_array_equal(np.from_dlpack(logits), expected)


def test_top_k(engine):
    images = torch.arange(16.0).roll(3).view(1, 16, 1, 1)
    scores, classes = engine.top_k(images, 2)
    assert scores.tolist() == [[15.0, 14.0]] and classes.tolist() == [[2, 1]]
    assert engine.top_k(images)[1].shape == (1, 5)


def test_refuses_what_is_no_image(engine):
    with pytest.raises(UsageError, match=r"are uint8 \(2, 1, 1, 16\)"):
        engine(np.zeros((2, 1, 1, 16), np.uint8))
    with pytest.raises(UsageError, match="not list"):
        engine([1.0])


@given(st.integers(0, 300), st.sets(st.integers(1, 64), min_size=1))
def test_pieces(count, sizes):
    found = list(pieces(count, sorted(sizes)))
    assert [first for first, _, _ in found] == list(np.cumsum([0, *(n for _, n, _ in found)])[:-1])
    assert sum(n for _, n, _ in found) == count
    assert all(1 <= n <= size and size in sizes for _, n, size in found)
    assert all((n, size) == (max(sizes), max(sizes)) for _, n, size in found[:-1])
    if found:
        _, n, size = found[-1]
        assert not any(n <= other < size for other in sizes)
