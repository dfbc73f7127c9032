from dataclasses import replace

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from fused_operations import shortcut_operation
from pair_operations import pair_operation
from real_operations import real, real_operation, real_shortcut

from tensordyno.forge.graph import Clamp
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.hopper_pair import HopperPair
from tensordyno.forge.kernels.hopper_programs import REGISTERS, SHARED_BYTES
from tensordyno.forge.kernels.hopper_real_shortcut import HopperRealShortcut
from tensordyno.forge.kernels.hopper_shortcut import HopperShortcut
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

KERNEL = HopperRealShortcut()
HOPPER = Target()
BF16 = Precision.BF16
STEPS = (2, 2)
OPERATIONS = {
    "first": real_shortcut(64, 64, 256, size=(56, 56)),
    "second": real_shortcut(256, 128, 512, size=(56, 56), stride=STEPS, precision=BF16),
    "third": real_shortcut(512, 256, 1024, size=(28, 28), stride=STEPS, shortcut_clamp=Clamp()),
    "fourth": real_shortcut(1024, 512, 2048, size=(14, 14), stride=STEPS),
    "odd": real_shortcut(48, 80, 192, size=(20, 28), stride=(2, 1), clamp=Clamp(0, 3), beside=8),
}
BATCHES = (1, 8, 256)


def launches(operation, batch_size):
    weights = {name: torch.from_numpy(array) for name, array in KERNEL.weights(operation).items()}
    empty = torch.empty(64, dtype=torch.float16 if operation.precision is Precision.FP16 else torch.bfloat16)
    return {
        choice: KERNEL.launch(operation, choice, batch_size, lambda place: empty, weights, HOPPER)
        for choice in KERNEL.choices(operation, batch_size, HOPPER)
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_this_kernel_takes_them(name):
    operation = OPERATIONS[name]
    assert KERNEL.takes(operation, HOPPER)
    assert not HopperShortcut().takes(operation, HOPPER) and not HopperPair().takes(operation, HOPPER)


def changed(part, **changes):
    """The first operation with one of its parts changed."""
    operation = OPERATIONS["first"]
    parts = list(operation.node.parts)
    parts[part] = replace(parts[part], **changes)
    return replace(operation, node=replace(operation.node, parts=tuple(parts)))


FIRST = OPERATIONS["first"]
REFUSED = {
    "integers": shortcut_operation(64, 64, 64),
    "windows of integers": pair_operation(64, 256),
    "strict arithmetic": replace(FIRST, precision=Precision.FP32),
    "another format": replace(FIRST, precision=BF16),
    "logits": replace(FIRST, output=real(FIRST.output, Format.FP32)),
    "one convolution": real_operation(64, 64),
    "a shortcut of windows": changed(0, weight=np.ones((256, 64, 3, 3), np.float32)),
    "a padded shortcut": changed(0, pads=(1, 1, 1, 1)),
    "a chain": changed(1, inputs=("between", "image")),
    "no residual": changed(1, inputs=("image",)),
    "steps of both": changed(1, stride=STEPS),
    "groups": changed(0, groups=2),
    "few channels": real_shortcut(24, 64, 64),
    "few results": real_shortcut(64, 64, 96),
    "an odd pitch": real_shortcut(64, 64, 64, beside=4),
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
    assert 4 <= len(found) == len(set(found)) <= 10
    channels, out_channels = [image.channels for image in operation.inputs], operation.output.channels
    for block_m, block_n, block_k, warps, stages, columns, programs, behind in found:
        assert not any(count % block_k for count in channels)
        assert out_channels % (block_n * max(columns, 1)) == 0 and block_m % (16 * warps) == 0
        assert stages >= 2 + (behind if not columns else 0)
        pixels = sum(channels) if columns else block_k
        kept = columns * block_n * sum(channels) if columns else stages * block_n * block_k
        assert 2 * max(programs, 1) * (stages * block_m * pixels + kept) <= SHARED_BYTES


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


def test_weights_lie_as_images_do():
    operation = OPERATIONS["odd"]
    made = KERNEL.weights(operation)
    assert set(made) == {"shortcut_weight", "shortcut_bias", "weight", "bias"}
    for part, prefix in zip(parts_of(operation), ("shortcut_", ""), strict=True):
        channels = part.inputs[0].channels
        weight = made[f"{prefix}weight"].reshape(192, channels)
        assert weight.dtype == np.float16
        assert weight[3, 40] == np.float16(part.node.weight[3, 40, 0, 0])
        np.testing.assert_array_equal(made[f"{prefix}bias"], part.node.bias)


def test_weights_of_bf16_are_such_and_there_are_no_scales():
    for launch in launches(OPERATIONS["second"], 1).values():
        given = launch.arguments
        assert given["weight"].dtype is given["shortcut_weight"].dtype is torch.bfloat16
        assert given["scale"] is given["shortcut_scale"] is None and given["factor"] == 1


def test_each_epilogue_has_its_own_clamp():
    operation = real_shortcut(64, 64, 64, shortcut_clamp=Clamp(-0.25, 0.5), clamp=Clamp(0, 3))
    (launch, *_) = launches(operation, 1).values()
    given = launch.arguments
    assert (given["shortcut_low"], given["shortcut_high"]) == (-0.25, 0.5)
    assert (given["low"], given["high"]) == (0, 3)
    assert (launch.constants["SHORTCUT"].clamps, launch.constants["SHAPE"].clamps) == (2, 2)


SPILLS_BYTES = 32  # of a thread, in tiles of 128 x 128 where two programs share a multiprocessor; else none

COMPILED = [("first", 256)]
MORE = [(name, batch_size) for name in OPERATIONS for batch_size in (1, 256)]
OTHERS = [pytest.param(*case, marks=pytest.mark.exhaustive) for case in MORE if case not in COMPILED]


@pytest.mark.parametrize(("name", "batch_size"), [*COMPILED, *OTHERS])
def test_every_choice_compiles_and_its_programs_fit_a_multiprocessor(name, batch_size):
    """Compiled only: Gluon has no interpreter, and results are compared on a GPU (tests/gpu)."""
    found = launches(OPERATIONS[name], batch_size)
    for choice, taken in zip(found, all_resources(found.values(), (9, 0)), strict=True):
        warps, programs = choice[3], max(choice[6], 1)
        assert taken.waits, choice
        assert taken.spills_bytes <= SPILLS_BYTES * (choice[:2] == (128, 128)), choice
        assert -(-taken.registers // 8) * 8 * 32 * warps * programs <= REGISTERS, choice
        assert (taken.shared_bytes + 1024) * programs <= SHARED_BYTES + 1024, choice
