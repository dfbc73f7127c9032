from dataclasses import replace

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from hopper_operations import stem_operation, view
from hypothesis import given
from hypothesis import strategies as st
from real_operations import real, real_operation, real_pooled_stem

from tensordyno.forge.graph import Clamp, Convolution, Tensor
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.hopper_programs import REGISTERS, SHARED_BYTES
from tensordyno.forge.kernels.hopper_real_pooled_stem import HopperRealPooledStem
from tensordyno.forge.kernels.hopper_stem import HopperStem, pack_launch
from tensordyno.forge.kernels.number_formats import rounded
from tensordyno.forge.kernels.reference import compute
from tensordyno.forge.kernels.reference_values import Value
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

KERNEL = HopperRealPooledStem()
HOPPER = Target()
OPERATION = real_pooled_stem((224, 224))
BF16 = real_pooled_stem((40, 480), precision=Precision.BF16, clamp=None, beside=8)
TYPES = {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}


def launches(operation, batch_size):
    weights = {name: torch.from_numpy(array) for name, array in KERNEL.weights(operation).items()}
    image = torch.empty(batch_size * operation.inputs[0].pixels * 3, dtype=TYPES[operation.precision])
    found = {}
    for choice in KERNEL.choices(operation, batch_size, HOPPER):
        scratch = torch.empty(KERNEL.scratch_bytes(operation, choice, batch_size), dtype=torch.uint8)
        found[choice] = KERNEL.launch(
            operation, choice, batch_size, lambda place: image, weights, HOPPER, scratch
        )
    return found


def packed(images):
    """What the packing kernel makes of fp16 images (batch, height, width, 3), by the interpreter."""
    batch_size, height, width, _ = images.shape
    blocks = torch.full((batch_size * height * width * 4 + 32,), torch.nan, dtype=torch.float16)
    flat = torch.from_numpy(images).half().flatten()
    scratch = blocks[:-32].view(torch.uint8)
    place = view("image", height, width, 3, format=Format.FP16, scale=None)
    pack_launch(torch.cat([flat, blocks[-8:]]), scratch, place, batch_size).run()
    assert torch.all(torch.isnan(blocks[-32:]))
    return blocks[:-32].float().numpy().reshape(batch_size, height // 2, width // 2, 16)


@given(
    batch_size=st.sampled_from([1, 3]),
    height=st.sampled_from([4, 8, 20]),
    width=st.sampled_from([4, 12, 36]),
    seed=st.integers(0, 99),
)
def test_its_weights_over_blocks_make_the_sums_of_the_stem(batch_size, height, width, seed):
    random = np.random.default_rng(seed)
    images = random.integers(-9, 10, (batch_size, height, width, 3)).astype(np.float32)
    weight = KERNEL.weights(OPERATION)["weight"].reshape(64, 4, 4, 16).astype(np.float32)
    over_blocks = Convolution(
        name="blocks",
        inputs=("image",),
        output="output",
        weight=weight.transpose(0, 3, 1, 2),
        pads=(2, 2, 1, 1),
    )
    convolution = OPERATION.node.convolution
    plain = replace(convolution, weight=rounded(convolution.weight, Precision.FP16), bias=None, clamp=None)
    sums = Tensor("output", (64, height // 2, width // 2))
    found = compute(over_blocks, [Value(packed(images).transpose(0, 3, 1, 2))], sums).numbers
    expected = compute(plain, [Value(images.transpose(0, 3, 1, 2))], sums).numbers
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_bf16_weights_are_their_bits():
    made = KERNEL.weights(BF16)
    bits = torch.from_numpy(made["weight"]).view(torch.bfloat16).float().numpy().reshape(64, 4, 4, 16)
    expected = rounded(BF16.node.convolution.weight, Precision.BF16)
    np.testing.assert_array_equal(bits[:, 0, 0, 9:12], expected[:, :, 0, 0])  # the lower right of a block
    np.testing.assert_array_equal(bits[:, 3, 2, :3], expected[:, :, 5, 3])
    assert not bits[..., 12:].any()
    np.testing.assert_array_equal(made["bias"], BF16.node.convolution.bias)


TAKEN = {
    "residual network": OPERATION,
    "bf16": BF16,
    "narrow": real_pooled_stem((320, 4), clamp=Clamp(-1, 3), beside=8),
}
REFUSED = {
    "integers": stem_operation((224, 224)),
    "a convolution alone": replace(OPERATION, node=OPERATION.node.convolution),
    "another convolution": real_operation(64, 64),
    "lines that are no blocks": real_pooled_stem((32, 30)),
    "padded pixels": replace(OPERATION, inputs=(replace(OPERATION.inputs[0], pitch=16),)),
    "an odd pitch": real_pooled_stem((32, 32), beside=2),
    "another format": replace(OPERATION, precision=Precision.BF16),
    "real results of another format": replace(OPERATION, output=real(OPERATION.output, Format.FP32)),
    "strict arithmetic": replace(OPERATION, precision=Precision.FP32),
    "shortened arithmetic": replace(OPERATION, precision=Precision.TF32),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_it_takes(name):
    assert KERNEL.takes(TAKEN[name], HOPPER)
    assert not HopperStem().takes(TAKEN[name], HOPPER)


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses(name):
    assert not KERNEL.takes(REFUSED[name], HOPPER)


@pytest.mark.parametrize("target", [Target(interpreted=True), Target(capability=(8, 0))])
def test_it_runs_on_hopper_only(target):
    assert not KERNEL.takes(OPERATION, target)


@pytest.mark.parametrize("batch_size", [1, 7, 256])
@pytest.mark.parametrize("name", TAKEN)
def test_programs_cover_the_result(name, batch_size):
    operation = TAKEN[name]
    image, output = operation.inputs[0], operation.output
    found = launches(operation, batch_size)
    assert 3 <= len(found) <= 12
    for (band, warps, ring, programs), launch in found.items():
        bands, columns = -(-output.height // band), -(-output.width // 56)
        assert launch.grid == (batch_size * bands * columns,)
        assert (launch.num_warps, launch.constants["TILE"].stages) == (warps, ring)
        assert programs * warps * 32 * launch.constants["maxnreg"] <= REGISTERS
        (packing,) = launch.before
        assert packing.arguments["blocks"] == batch_size * image.pixels // 4
        assert packing.grid[0] * packing.constants["BLOCK"] >= packing.arguments["blocks"]


@pytest.mark.parametrize("ring", [5, 7])
def test_a_ring_holds_the_rows_that_are_multiplied(ring):
    """The order of fetches and products of gluon_stem.py, rows of blocks counted from the first one."""
    slots = {}

    def fetch(*rows):
        slots.update({row % ring: row for row in rows})

    def multiply(first):
        assert [slots[(first + tap) % ring] for tap in range(4)] == list(range(first, first + 4))

    fetch(*range(min(ring, 6)))
    multiply(0)
    if ring < 7:
        fetch(5)
    for at in range(0, 20, 2):
        if ring >= 7:
            fetch(at + 6, at + 7)
        multiply(at + 1)
        multiply(at + 2)
        if ring < 7:
            fetch(at + 6, at + 7)


@pytest.mark.parametrize(
    "operation", [OPERATION, replace(BF16, output=OPERATION.output)], ids=["fp16", "bf16"]
)
def test_every_choice_compiles_and_its_programs_fit_a_multiprocessor(operation):
    """Compiled only: Gluon has no interpreter, and results are compared on a GPU (tests/gpu)."""
    found = {choice[1:]: launch for choice, launch in launches(operation, 8).items()}
    for (warps, _, programs), taken in zip(found, all_resources(found.values(), (9, 0)), strict=True):
        assert taken.waits and taken.spills_bytes == 0
        assert programs * 32 * warps * -(-taken.registers // 8) * 8 <= REGISTERS
        assert programs * (taken.shared_bytes + 1024) <= SHARED_BYTES + 1024


def test_the_packing_compiles():
    (launch, *_) = launches(OPERATION, 3).values()
    (taken,) = all_resources(launch.before, (9, 0))
    assert taken.waits and taken.registers <= 64 and taken.spills_bytes == 0
