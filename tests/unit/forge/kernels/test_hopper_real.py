from dataclasses import replace

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from hopper_operations import convolution_operation, view
from real_operations import real, real_operation

from tensordyno.forge.graph import Activation, Clamp
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.hopper_programs import REGISTERS, SHARED_BYTES
from tensordyno.forge.kernels.hopper_real import HopperReal
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

KERNEL = HopperReal()
HOPPER = Target()
THREE = (3, 3)
OPERATIONS = {
    "point": real_operation(64, 64, size=(56, 56)),
    "expand": real_operation(64, 256, size=(56, 56), residual=True),
    "wide": real_operation(128, 512, size=(28, 28), residual=True, precision=Precision.BF16),
    "deep": real_operation(256, 1024, size=(14, 14), residual=True),
    "reduce": real_operation(2048, 512, size=(7, 9), clamp=None),
    "strided": real_operation(256, 512, size=(56, 56), stride=(2, 2), clamp=Clamp(0, 3)),
    "stage": real_operation(64, 64, size=(56, 56), kernel=THREE),
    "window": real_operation(256, 256, size=(28, 20), kernel=THREE, stride=(2, 1)),
    "narrow": real_operation(48, 64, size=(20, 28), kernel=(1, 7), pads=(0, 3, 0, 2), beside=8),
}
BATCHES = (1, 32, 256)


def launches(operation, batch_size):
    weights = {name: torch.from_numpy(array) for name, array in KERNEL.weights(operation).items()}
    kind = torch.float16 if operation.precision is Precision.FP16 else torch.bfloat16
    empty = torch.empty(64, dtype=kind)
    return {
        choice: KERNEL.launch(operation, choice, batch_size, lambda place: empty, weights, HOPPER)
        for choice in KERNEL.choices(operation, batch_size, HOPPER)
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_it_takes(name):
    assert KERNEL.takes(OPERATIONS[name], HOPPER)


def test_int8_weights_of_real_inputs_are_real():
    operation = OPERATIONS["point"]
    node = convolution_operation(64, 64).node
    operation = replace(operation, node=replace(node, bias=None))
    assert KERNEL.takes(operation, HOPPER)
    made = KERNEL.weights(operation)
    exact = node.weight[:, :, 0, 0] * node.weight_scale[:, None]
    np.testing.assert_array_equal(made["weight"].reshape(64, 64), exact.astype(np.float16))
    assert not made["bias"].any()


def changed(**changes):
    operation = OPERATIONS["expand"]
    return replace(operation, node=replace(operation.node, **changes))


REFUSED = {
    "integers": convolution_operation(64, 64),
    "real results of integers": replace(OPERATIONS["point"], inputs=(view("image", 56, 56, 64),)),
    "strict arithmetic": replace(OPERATIONS["point"], precision=Precision.FP32),
    "another format": replace(OPERATIONS["point"], precision=Precision.BF16),
    "logits": replace(OPERATIONS["point"], output=real(OPERATIONS["point"].output, Format.FP32)),
    "groups": changed(groups=2),
    "holes": changed(dilation=(2, 2)),
    "another node": replace(
        OPERATIONS["point"], node=Activation(name="a", inputs=("image",), output="output", clamp=Clamp())
    ),
    "few channels": real_operation(24, 64),
    "few results": real_operation(64, 96),
    "an odd pitch": real_operation(64, 64, beside=4),
    "a long window": real_operation(64, 64, size=(20, 20), kernel=(1, 16)),
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
    assert 3 <= len(found) == len(set(found)) <= 14
    channels, out_channels = operation.inputs[0].channels, operation.output.channels
    for block_m, block_n, block_k, warps, stages, columns, programs, cached in found:
        assert channels % block_k == 0 and out_channels % (block_n * max(columns, 1)) == 0
        assert block_m % (16 * warps) == 0 and stages >= 2
        assert not cached or operation.node.weight.shape[2:] != (1, 1)
        pixels = channels if columns else block_k
        kept = columns * block_n * channels if columns else stages * block_n * block_k
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


def test_programs_stay_where_there_is_much_to_do_for_a_point():
    for name in ("point", "expand", "wide", "deep"):
        assert all(choice[6] for choice in KERNEL.choices(OPERATIONS[name], 256, HOPPER)[:2])
    for name, batch_size in (("deep", 1), ("window", 256)):
        assert not any(choice[6] for choice in KERNEL.choices(OPERATIONS[name], batch_size, HOPPER))


def test_weights_lie_as_images_do():
    operation = OPERATIONS["narrow"]
    made = KERNEL.weights(operation)
    node = operation.node
    weight = made["weight"].reshape(64, 1, 7, 48)
    assert weight.dtype == np.float16
    assert weight[3, 0, 5, 40] == np.float16(node.weight[3, 40, 0, 5])
    np.testing.assert_array_equal(made["bias"], node.bias)
    assert set(made) == {"weight", "bias"}


def test_weights_of_bf16_are_such():
    for launch in launches(OPERATIONS["wide"], 1).values():
        assert launch.arguments["weight"].dtype is torch.bfloat16


@pytest.mark.parametrize(("clamp", "mode"), [(None, 0), (Clamp(), 1), (Clamp(0, 6), 2), (Clamp(-6, 6), 2)])
def test_clamps(clamp, mode):
    (launch, *_) = launches(real_operation(64, 64, clamp=clamp), 1).values()
    assert launch.constants["SHAPE"].clamps == mode
    if clamp:
        assert (launch.arguments["low"], launch.arguments["high"]) == (clamp.low, clamp.high)


SPILLS_BYTES = 32  # of a thread: none with Triton 3.6; 3.9 spills 8 and 16 in choices that fill the registers

COMPILED = [("expand", 256), ("window", 256)]
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
