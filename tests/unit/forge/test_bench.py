from dataclasses import replace

import pytest
import torch
from forge_kernels import CPU, relu_program
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.bench import Bench, sets_needed
from tensordyno.forge.program import Format

INTEGERS = (Format.INT8, Format.UINT8)


def bench(format=Format.FP32, batch_size=3):
    operation = relu_program().operations[0]
    scale = 0.1 if format in INTEGERS else None
    operation = replace(
        operation,
        inputs=tuple(replace(view, format=format, scale=scale) for view in operation.inputs),
        output=replace(operation.output, format=format, scale=scale),
    )
    return Bench(operation, batch_size, {"images": 512, "t0": 512, "unused": 2**50}, CPU)


@pytest.mark.parametrize("format", Format)
def test_inputs_are_random_and_the_same_each_time(format):
    first, second = bench(format), bench(format)
    view = first.operation.inputs[0]
    images = first.sets[0].images(view, 3)
    assert torch.equal(images, second.sets[0].images(view, 3))
    assert len(images.unique()) > 20
    assert (images.float().min() < 0) is not (format is Format.UINT8)


def test_all_sets_have_the_same_inputs_in_memory_of_their_own(monkeypatch):
    monkeypatch.setattr("tensordyno.forge.bench._CACHE_BYTES", 40_000)
    made = bench(batch_size=9)
    images = [each.images(made.operation.inputs[0], 9) for each in made.sets]
    assert len({each.data_ptr() for each in images}) == len(made.sets) == 5
    assert all(torch.equal(each, images[0]) for each in images)


@given(st.integers(1, 10**4), st.integers(1, 2**34))
def test_sets_are_more_than_the_cache_holds(batch_size, size_bytes):
    sets = sets_needed(batch_size, size_bytes)
    if batch_size <= 8:
        assert sets == 1
    else:
        assert sets * size_bytes >= 120 << 20 or sets == 64
        assert sets == 1 or (sets - 1) * size_bytes < 120 << 20


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_results_are_of_the_first_two_images_and_the_last(format, batch_size):
    made = bench(format, batch_size)
    made.poison()
    poisoned = made.result()
    assert poisoned.unique().numel() == 1 and abs(float(poisoned.flatten()[0])) > 90
    output = made.sets[0].images(made.operation.output, batch_size)
    output.copy_(torch.arange(batch_size).view(-1, 1, 1, 1).expand(output.shape))
    assert made.result()[:, 0, 0, 0].tolist() == {1: [0], 2: [0, 1], 5: [0, 1, 4]}[batch_size]


@pytest.mark.parametrize(
    ("format", "allowed", "refused"),
    [
        (Format.INT8, 1.0, 2.0),
        (Format.UINT8, 1.0, 2.0),
        (Format.FP16, 0.1, 0.3),
        (Format.BF16, 1.0, 2.0),
        (Format.FP32, 0.05, 0.2),
    ],
)
def test_results_may_differ_by_a_step(format, allowed, refused):
    made = bench(format)
    expected = torch.tensor([100.0, 0.0, -3.0, 4.0])
    there = torch.tensor([0.0, 0.0, 1.0, 0.0])
    assert made.difference(expected + allowed * there, expected) == ""
    assert made.difference(expected - refused * there, expected) == "1 of 4 numbers are wrong"
    assert made.difference(expected * float("nan"), expected) == "4 of 4 numbers are wrong"
