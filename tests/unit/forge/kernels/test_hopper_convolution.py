from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from hopper_operations import convolution_operation, tensor_of, view

from tensordyno.forge.graph import Activation, Clamp
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.hopper_convolution import HopperConvolution
from tensordyno.forge.kernels.hopper_programs import REGISTERS, SHARED_BYTES
from tensordyno.forge.kernels.reference_folded import fold
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

KERNEL = HopperConvolution()
HOPPER = Target()
THREE = (3, 3)
OPERATIONS = {
    "point": convolution_operation(64, 64, size=(56, 56)),
    "expand": convolution_operation(64, 256, size=(56, 56), residual=True),
    "wide": convolution_operation(128, 512, size=(28, 28), residual=True),
    "deep": convolution_operation(256, 1024, size=(14, 14), residual=True),
    "reduce": convolution_operation(2048, 512, size=(7, 9), clamp=None),
    "strided": convolution_operation(256, 512, size=(56, 56), stride=(2, 2), clamp=Clamp(0, 3)),
    "window": convolution_operation(128, 128, size=(28, 20), kernel=THREE, stride=(2, 1)),
    "narrow": convolution_operation(96, 64, size=(20, 28), kernel=(1, 7), pads=(0, 3, 0, 2), beside=16),
}
BATCHES = (1, 32, 256)


def launches(operation, batch_size):
    weights = {name: torch.from_numpy(array) for name, array in KERNEL.weights(operation).items()}
    empty = torch.empty(64, dtype=torch.int8)
    return {
        choice: KERNEL.launch(operation, choice, batch_size, lambda place: empty, weights, HOPPER)
        for choice in KERNEL.choices(operation, batch_size, HOPPER)
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_it_takes(name):
    assert KERNEL.takes(OPERATIONS[name], HOPPER)


def changed(**changes):
    operation = OPERATIONS["expand"]
    return replace(operation, node=replace(operation.node, **changes))


REFUSED = {
    "real arithmetic": replace(OPERATIONS["expand"], precision=Precision.FP16),
    "real weights": changed(weight_scale=None),
    "groups": changed(groups=2),
    "holes": changed(dilation=(2, 2)),
    "another node": replace(
        OPERATIONS["point"], node=Activation(name="a", inputs=("image",), output="output", clamp=Clamp())
    ),
    "few channels": convolution_operation(48, 64),
    "few results": convolution_operation(64, 96),
    "uint8": replace(OPERATIONS["point"], inputs=(view("image", 56, 56, 64, format=Format.UINT8),)),
    "real results": replace(
        OPERATIONS["point"], output=view("output", 56, 56, 64, format=Format.FP16, scale=None)
    ),
    "an odd pitch": convolution_operation(64, 64, beside=8),
    "too many products for int32": convolution_operation(2**14, 64, kernel=THREE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses(name):
    assert not KERNEL.takes(REFUSED[name], HOPPER)


@pytest.mark.parametrize(
    "target", [Target(interpreted=True), Target(capability=(8, 0)), Target(capability=(10, 0))]
)
def test_it_runs_on_hopper_only(target):
    assert not KERNEL.takes(OPERATIONS["point"], target)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_choices_fit_the_operation_and_the_device(name, batch_size):
    operation = OPERATIONS[name]
    found = KERNEL.choices(operation, batch_size, HOPPER)
    assert 1 <= len(found) == len(set(found)) <= 14
    channels, out_channels = operation.inputs[0].channels, operation.output.channels
    for block_m, block_n, block_k, warps, stages, columns, programs, _ in found:
        assert channels % block_k == 0 and out_channels % (block_n * max(columns, 1)) == 0
        assert block_m % (16 * warps) == 0 and stages >= 2
        pixels = channels if columns else block_k
        kept = columns * block_n * channels if columns else stages * block_n * block_k
        assert max(programs, 1) * (stages * block_m * pixels + kept) <= SHARED_BYTES


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_tile_has_a_program(name, batch_size):
    operation = OPERATIONS[name]
    for (block_m, block_n, *_, columns, programs, _), launch in launches(operation, batch_size).items():
        tiles = -(-batch_size * operation.output.pixels // block_m)
        groups = operation.output.channels // (block_n * max(columns, 1))
        (count,) = launch.grid
        assert launch.arguments["pixels"] == batch_size * operation.output.pixels
        if programs:
            assert 0 < count <= min(tiles * groups, 132 * programs)
            assert columns == 0 or count % groups == 0  # each group of channels has as many
        else:
            assert count == tiles * groups


def test_programs_stay_where_there_is_much_to_do_for_a_point():
    for name in ("point", "expand", "wide", "deep"):
        assert all(choice[-2] for choice in KERNEL.choices(OPERATIONS[name], 256, HOPPER)[:3])
    for name, batch_size in (("deep", 1), ("window", 256)):
        assert not any(choice[-2] for choice in KERNEL.choices(OPERATIONS[name], batch_size, HOPPER))


def test_weights_lie_as_images_do_and_factors_are_folded():
    operation = OPERATIONS["narrow"]
    made = KERNEL.weights(operation)
    node = operation.node
    assert made["weight"].shape == (64, 1, 7, 96) and made["weight"].flags.c_contiguous
    assert made["weight"][3, 0, 5, 40] == node.weight[3, 40, 0, 5]
    folded = fold(node, [tensor_of(operation.inputs[0])], tensor_of(operation.output))
    np.testing.assert_array_equal(made["scale"], folded.factor)
    np.testing.assert_array_equal(made["bias"], folded.bias)


@pytest.mark.parametrize(
    ("clamp", "mode"),
    [
        (None, 0),
        (Clamp(), 1),
        (Clamp(0, 127 * 0.04), 1),  # int8 ends there anyway
        (Clamp(-6, 6), 0),
        (Clamp(0, 3), 2),
        (Clamp(-1, inf), 2),
        (Clamp(0.5, inf), 2),
    ],
)
def test_only_clamps_that_int8_does_not_make_itself_are_computed(clamp, mode):
    operation = convolution_operation(64, 64, clamp=clamp)
    (launch, *_) = launches(operation, 1).values()
    assert launch.constants["SHAPE"].clamps == mode


SPILLS_BYTES = (
    32  # of a thread: none with Triton 3.6, whose code was measured; 3.9 spills so much in one choice
)

COMPILED = [("expand", 256), ("deep", 256), ("window", 256)]
MORE = [(name, batch_size) for name in OPERATIONS for batch_size in (1, 256)]
OTHERS = [pytest.param(*case, marks=pytest.mark.exhaustive) for case in MORE if case not in COMPILED]


@pytest.mark.parametrize(("name", "batch_size"), [*COMPILED, *OTHERS])
def test_every_choice_compiles_and_its_programs_fit_a_multiprocessor(name, batch_size):
    """Compiled only: Gluon has no interpreter, and results are compared on a GPU (tests/gpu)."""
    found = launches(OPERATIONS[name], batch_size)
    for choice, taken in zip(found, all_resources(found.values(), (9, 0)), strict=True):
        warps, programs = choice[3], max(choice[-2], 1)
        assert taken.waits, choice
        assert taken.spills_bytes <= SPILLS_BYTES, choice
        assert -(-taken.registers // 8) * 8 * 32 * warps * programs <= REGISTERS, choice
        assert (taken.shared_bytes + 1024) * programs <= SHARED_BYTES + 1024, choice
