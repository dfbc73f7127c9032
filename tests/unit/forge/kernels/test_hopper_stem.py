from dataclasses import replace

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from forge_operations import integers
from hopper_operations import stem_operation, tensor_of, view
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.graph import Convolution
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.hopper_stem import HopperStem, pack_launch
from tensordyno.forge.kernels.reference import compute
from tensordyno.forge.kernels.reference_convolution import exact_sums
from tensordyno.forge.kernels.reference_folded import fold
from tensordyno.forge.program import Format

KERNEL = HopperStem()
HOPPER = Target()
OPERATION = stem_operation((224, 224))


def launches(operation, batch_size):
    weights = {name: torch.from_numpy(array) for name, array in KERNEL.weights(operation).items()}
    image = torch.empty(batch_size * operation.inputs[0].pixels * 3, dtype=torch.int8)
    found = {}
    for choice in KERNEL.choices(operation, batch_size, HOPPER):
        scratch = torch.empty(KERNEL.scratch_bytes(operation, choice, batch_size), dtype=torch.uint8)
        found[choice] = KERNEL.launch(
            operation, choice, batch_size, lambda place: image, weights, HOPPER, scratch
        )
    return found


def packed(images):
    """What the packing kernel makes of images (batch, height, width, 3), by the interpreter."""
    batch_size, height, width, _ = images.shape
    blocks = torch.full((batch_size * height * width * 4 + 32,), 77, dtype=torch.uint8)
    place = view("image", height, width, 3)
    flat = torch.from_numpy(np.ascontiguousarray(images)).flatten()
    pack_launch(torch.cat([flat, flat[:7]]), blocks[:-32], place, batch_size).run()
    assert torch.all(blocks[-32:] == 77)
    return blocks[:-32].view(torch.int8).numpy().reshape(batch_size, height // 2, width // 2, 16)


@given(
    batch_size=st.sampled_from([1, 3]),
    height=st.sampled_from([4, 8, 20]),
    width=st.sampled_from([4, 12, 36]),
    seed=st.integers(0, 99),
)
def test_blocks_hold_the_pixels_of_two_lines(batch_size, height, width, seed):
    images = integers(np.random.default_rng(seed), batch_size, height, width, 3).numbers
    found = packed(images)
    for row in (0, 1):
        for column in (0, 1):
            first = (row * 2 + column) * 3
            np.testing.assert_array_equal(found[..., first : first + 3], images[:, row::2, column::2])
    assert not found[..., 12:].any()


def test_its_weights_over_blocks_make_the_sums_of_the_stem():
    images = integers(np.random.default_rng(2), 2, 12, 16, 3).numbers
    weight = KERNEL.weights(OPERATION)["weight"]
    over_blocks = Convolution(
        name="blocks",
        inputs=("image",),
        output="output",
        weight=weight.transpose(0, 3, 1, 2),
        pads=(2, 2, 1, 1),
    )
    found = exact_sums(over_blocks, packed(images).transpose(0, 3, 1, 2))
    expected = exact_sums(OPERATION.node.convolution, images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(found, expected)


def test_the_reference_takes_one_after_the_other():
    operation = stem_operation((16, 20))
    node = operation.node
    images = integers(np.random.default_rng(3), 3, 3, 16, 20)
    between = replace(tensor_of(operation.output), shape=(64, 8, 10))
    convolved = compute(node.convolution, [images], between)
    expected = compute(node.pool, [convolved], tensor_of(operation.output))
    found = compute(node, [images], tensor_of(operation.output))
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    assert found.scale == expected.scale


def test_what_it_takes():
    assert KERNEL.takes(OPERATION, HOPPER)
    assert KERNEL.takes(stem_operation((320, 4), beside=16, clamp=None), HOPPER)
    assert not KERNEL.takes(OPERATION, Target(interpreted=True))
    assert not KERNEL.takes(OPERATION, Target(capability=(8, 9)))


REFUSED = {
    "a convolution alone": replace(OPERATION, node=OPERATION.node.convolution),
    "lines that are no blocks": stem_operation((32, 30)),
    "padded pixels": replace(OPERATION, inputs=(view("image", 224, 224, 3, more=13),)),
    "an odd pitch": stem_operation((32, 32), beside=8),
    "uint8": replace(OPERATION, inputs=(view("image", 224, 224, 3, format=Format.UINT8),)),
    "real results": replace(OPERATION, output=view("output", 56, 56, 64, format=Format.FP16, scale=None)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses(name):
    assert not KERNEL.takes(REFUSED[name], HOPPER)


@pytest.mark.parametrize("batch_size", [1, 7, 256])
@pytest.mark.parametrize("size", [(224, 224), (64, 4), (8, 480)])
def test_programs_cover_the_result(size, batch_size):
    operation = stem_operation(size)
    found = launches(operation, batch_size)
    assert 1 <= len(found) <= 12
    for (band, _), launch in found.items():
        bands, columns = -(-operation.output.height // band), -(-operation.output.width // 56)
        assert launch.grid == (batch_size * bands * columns,)
        (packing,) = launch.before
        assert packing.arguments["blocks"] == batch_size * size[0] * size[1] // 4
        assert packing.grid[0] * packing.constants["BLOCK"] >= packing.arguments["blocks"]


def test_factors_are_folded_in_steps_of_the_pooled_result():
    folded = fold(OPERATION.node.convolution, [tensor_of(OPERATION.inputs[0])], tensor_of(OPERATION.output))
    made = KERNEL.weights(OPERATION)
    np.testing.assert_array_equal(made["scale"], folded.factor)
    np.testing.assert_array_equal(made["bias"], folded.bias)


def test_every_choice_compiles_and_two_programs_fit_a_multiprocessor():
    """Compiled only: Gluon has no interpreter, and results are compared on a GPU (tests/gpu)."""
    found = launches(OPERATION, 8)
    for (_, warps), taken in zip(found, all_resources(found.values(), (9, 0)), strict=True):
        assert taken.waits and taken.spills_bytes == 0
        assert 2 * 32 * warps * -(-taken.registers // 8) * 8 <= 65_536
        assert 2 * (taken.shared_bytes + 1024) <= 233_472


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)])
def test_the_packing_compiles_for_any_gpu(capability):
    (launch, *_) = launches(OPERATION, 3).values()
    (taken,) = all_resources(launch.before, capability)
    assert taken.registers < 64 and taken.spills_bytes == 0 and taken.waits == (capability >= (9, 0))
