from dataclasses import replace

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from fused_operations import shortcut_operation
from hopper_operations import convolution_operation, tensor_of

from tensordyno.forge.graph import Clamp
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.hopper_programs import REGISTERS, SHARED_BYTES
from tensordyno.forge.kernels.hopper_shortcut import HopperShortcut
from tensordyno.forge.kernels.reference_folded import fold
from tensordyno.forge.parts import parts_of
from tensordyno.vocabulary import Precision

KERNEL = HopperShortcut()
HOPPER = Target()
STEPS = (2, 2)
OPERATIONS = {
    "first": shortcut_operation(64, 64, 256, size=(56, 56)),
    "second": shortcut_operation(256, 128, 512, size=(56, 56), stride=STEPS),
    "third": shortcut_operation(512, 256, 1024, size=(28, 28), stride=STEPS, shortcut_clamp=Clamp()),
    "fourth": shortcut_operation(1024, 512, 2048, size=(14, 14), stride=STEPS),
    "odd": shortcut_operation(96, 160, 192, size=(20, 28), stride=(2, 1), clamp=Clamp(0, 3), beside=16),
}
BATCHES = (1, 8, 256)


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


def changed(part, **changes):
    """The first operation with one of its parts changed."""
    operation = OPERATIONS["first"]
    parts = list(operation.node.parts)
    parts[part] = replace(parts[part], **changes)
    return replace(operation, node=replace(operation.node, parts=tuple(parts)))


WINDOW = np.ones((256, 64, 3, 3), np.int8)
REFUSED = {
    "real arithmetic": replace(OPERATIONS["first"], precision=Precision.FP16),
    "one convolution": convolution_operation(64, 64),
    "a shortcut of windows": changed(0, weight=WINDOW),
    "a padded shortcut": changed(0, pads=(1, 1, 1, 1)),
    "windows before": changed(1, weight=WINDOW, pads=(1, 1, 1, 1)),
    "a chain": changed(1, inputs=("between", "image")),
    "no residual": changed(1, inputs=("image",)),
    "steps of both": changed(1, stride=(2, 2)),
    "groups": changed(0, groups=2),
    "few channels": shortcut_operation(48, 64, 64),
    "few results": shortcut_operation(64, 64, 96),
    "an odd pitch": shortcut_operation(64, 64, 64, beside=8),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses(name):
    assert not KERNEL.takes(REFUSED[name], HOPPER)


@pytest.mark.parametrize(
    "target", [Target(interpreted=True), Target(capability=(8, 0)), Target(capability=(10, 0))]
)
def test_it_runs_on_hopper_only(target):
    assert not KERNEL.takes(OPERATIONS["first"], target)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_choices_fit_the_operation_and_the_device(name, batch_size):
    operation = OPERATIONS[name]
    found = KERNEL.choices(operation, batch_size, HOPPER)
    assert 5 <= len(found) == len(set(found)) <= 10
    channels, out_channels = [image.channels for image in operation.inputs], operation.output.channels
    for block_m, block_n, block_k, warps, stages, columns, programs, behind in found:
        assert not any(count % block_k for count in channels)
        assert out_channels % (block_n * max(columns, 1)) == 0 and block_m % (16 * warps) == 0
        assert stages >= 2 + (behind if not columns else 0)
        pixels = sum(channels) if columns else block_k
        kept = columns * block_n * sum(channels) if columns else stages * block_n * block_k
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


def test_programs_stay_where_there_is_much_to_do():
    assert all(choice[5] for choice in KERNEL.choices(OPERATIONS["first"], 256, HOPPER)[:3])
    assert all(choice[6] for choice in KERNEL.choices(OPERATIONS["fourth"], 256, HOPPER)[:3])
    assert not any(choice[6] for choice in KERNEL.choices(OPERATIONS["fourth"], 1, HOPPER))


def test_arguments_come_in_the_order_of_the_function():
    for launch in launches(OPERATIONS["first"], 256).values():
        names = [*launch.arguments, *(name for name in launch.constants if name != "maxnreg")]
        assert launch.function.arg_names == names


def test_weights_lie_as_images_do_and_factors_are_folded():
    operation = OPERATIONS["odd"]
    made = KERNEL.weights(operation)
    assert made["shortcut_weight"].shape == (192, 1, 1, 96) and made["weight"].shape == (192, 1, 1, 160)
    for part, prefix in zip(parts_of(operation), ("shortcut_", ""), strict=True):
        assert made[f"{prefix}weight"][3, 0, 0, 40] == part.node.weight[3, 40, 0, 0]
        folded = fold(part.node, [tensor_of(view) for view in part.inputs], tensor_of(part.output))
        np.testing.assert_array_equal(made[f"{prefix}scale"], folded.factor)
        np.testing.assert_array_equal(made[f"{prefix}bias"], folded.bias)


def test_each_epilogue_has_its_own_steps():
    operation = shortcut_operation(64, 64, 64, shortcut_clamp=Clamp(-0.21, 0.42), clamp=Clamp(0, 3))
    (launch, *_) = launches(operation, 1).values()
    given = launch.arguments
    assert (given["shortcut_low"], given["shortcut_high"]) == pytest.approx((-10, 20))
    assert (given["factor"], given["low"], given["high"]) == pytest.approx((0.021 / 0.04, 0, 75))
    assert (launch.constants["SHORTCUT"].clamps, launch.constants["SHAPE"].clamps) == (2, 2)


SPILLS_BYTES = 40  # of a thread, in tiles of 128 x 128 where two programs share a multiprocessor; else none

COMPILED = [("first", 256), ("fourth", 1)]
MORE = [(name, batch_size) for name in OPERATIONS for batch_size in (1, 256)]
OTHERS = [pytest.param(*case, marks=pytest.mark.exhaustive) for case in MORE if case not in COMPILED]


@pytest.mark.parametrize(("name", "batch_size"), [*COMPILED, *OTHERS])
def test_every_choice_compiles_and_its_programs_fit_a_multiprocessor(name, batch_size):
    """Compiled only: Gluon has no interpreter, and results are compared on a GPU (tests/gpu)."""
    found = launches(OPERATIONS[name], batch_size)
    for choice, taken in zip(found, all_resources(found.values(), (9, 0)), strict=True):
        warps, programs = choice[3], max(choice[6], 1)
        assert taken.waits, choice
        assert taken.spills_bytes <= SPILLS_BYTES, choice
        assert -(-taken.registers // 8) * 8 * 32 * warps * programs <= REGISTERS, choice
        assert (taken.shared_bytes + 1024) * programs <= SHARED_BYTES + 1024, choice
