from dataclasses import replace

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from hopper_operations import convolution_operation, tensor_of, view
from pair_operations import pair_operation

from tensordyno.forge.graph import Clamp
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.gluon_pair import copies_behind, is_fetched
from tensordyno.forge.kernels.hopper_pair import HopperPair, channels_of_columns
from tensordyno.forge.kernels.hopper_programs import REGISTERS, SHARED_BYTES
from tensordyno.forge.kernels.reference_folded import fold
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

KERNEL = HopperPair()
HOPPER = Target()
OPERATIONS = {
    "first": pair_operation(64, size=(56, 56), residual=True),
    "alone": pair_operation(64, size=(56, 56), beside=16),
    "second": pair_operation(128, size=(28, 28), residual=True),
    "strided": pair_operation(128, size=(56, 52), stride=(2, 2), clamp=None),
    "third": pair_operation(256, size=(14, 14), residual=True, between_clamp=Clamp(0, 3)),
    "wider": pair_operation(64, 512, size=(9, 5), between_clamp=None, clamp=Clamp(-1, 2)),
}
BATCHES = (1, 32, 256)
SPILLS_BYTES = 48  # of a thread


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
    operation = OPERATIONS["first"]
    parts = list(operation.node.parts)
    parts[part] = replace(parts[part], **changes)
    return replace(operation, node=replace(operation.node, parts=tuple(parts)))


REFUSED = {
    "real arithmetic": replace(OPERATIONS["first"], precision=Precision.FP16),
    "real weights": changed(0, weight_scale=None),
    "one convolution": convolution_operation(64, 64, kernel=(3, 3)),
    "no padding": changed(0, pads=(0, 0, 0, 0)),
    "another stride": changed(0, stride=(2, 1)),
    "a larger kernel": changed(0, weight=np.zeros((64, 64, 5, 5), np.int8)),
    "holes": changed(0, dilation=(2, 2)),
    "a stride behind": changed(1, stride=(2, 2)),
    "a window behind": changed(1, weight=np.zeros((256, 64, 3, 3), np.int8), pads=(1, 1, 1, 1)),
    "what lies between as residual": changed(1, inputs=("residual", "between")),
    "other channels": pair_operation(96),
    "few results": pair_operation(64, 128),
    "uint8": replace(OPERATIONS["alone"], inputs=(view("image", 56, 56, 64, format=Format.UINT8),)),
    "an odd pitch": pair_operation(64, beside=8),
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
def test_choices_fit_the_operation(name, batch_size):
    operation = OPERATIONS[name]
    found = KERNEL.choices(operation, batch_size, HOPPER)
    assert 5 <= len(found) == len(set(found)) <= 10
    channels, out_channels = operation.inputs[0].channels, operation.output.channels
    for block_m, block_n, block_k, slices, warps, stages, slots, keeps, early, behind, programs in found:
        groups, all_slices = out_channels // block_n, 9 * channels // block_k
        assert out_channels % block_n == 0 and channels % block_k == 0 and block_m % (16 * warps) == 0
        assert all_slices % slices == 0
        assert 2 + behind <= stages <= all_slices // slices  # a slot rests while its product may still run
        assert slots >= 2 and groups % slots == 0  # so that a group's slot is the same in each tile
        assert 1 <= early <= groups and groups % early == 0
        assert {keeps, behind} <= {0, 1} and programs >= 1


@pytest.mark.parametrize(
    ("steps", "stages", "behind"), [(3, 2, 0), (3, 3, 1), (9, 6, 1), (18, 4, 1), (36, 3, 0)]
)
def test_a_step_waits_for_its_copies_and_no_later_ones(steps, stages, behind):
    begun = list(range(stages))
    for step in range(steps):
        assert copies_behind(step, steps, stages, behind) == len(begun) - 1 - begun.index(step)
        coming = step - 1 - behind + stages
        if is_fetched(coming, steps, stages):
            assert coming % stages == (step - 1 - behind) % stages  # of the step that is done by then
            begun.append(coming)
    assert begun == list(range(steps))


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_programs_are_those_that_fit_the_device_and_no_more_than_tiles(name, batch_size):
    operation = OPERATIONS[name]
    for (block_m, *_, programs), launch in launches(operation, batch_size).items():
        pixels = batch_size * operation.output.pixels
        assert launch.arguments["pixels"] == pixels
        assert launch.grid == (min(-(-pixels // block_m), 132 * programs),)


def test_few_pixels_are_cut_into_small_tiles():
    assert KERNEL.choices(OPERATIONS["first"], 1, HOPPER)[0][0] == 64
    assert KERNEL.choices(OPERATIONS["first"], 256, HOPPER)[0][0] == 128


def weight_rows(block_n):
    """The same as in gluon_convolution.py, where runs have 16 channels."""
    column = np.arange(block_n)
    place = column // 8 * 2 + column % 2
    return place // 16 * 64 + column % 8 // 2 * 16 + place % 16


@pytest.mark.parametrize("block_n", [64, 128, 256])
def test_columns_stand_for_the_channels_that_the_layouts_say(block_n):
    tiles = [first + weight_rows(block_n) for first in range(0, 512, block_n)]
    np.testing.assert_array_equal(channels_of_columns(512), np.concatenate(tiles))


@pytest.mark.parametrize("name", ["second", "alone"])
def test_weights_lie_by_taps_and_columns_and_factors_are_folded(name):
    operation = OPERATIONS[name]
    made = KERNEL.weights(operation)
    window, expand = parts_of(operation)
    channels, out_channels = window.output.channels, expand.output.channels
    assert made["window_weight"].shape == (3, 3, channels, channels)
    assert made["weight"].shape == (out_channels, channels)
    assert made["window_weight"].flags.c_contiguous and made["weight"].flags.c_contiguous
    # column 11 of each 64: the second pair of columns, of the quad's second thread
    assert made["window_weight"][2, 1, 11, 40] == window.node.weight[19, 40, 2, 1]
    assert made["weight"][64 + 11, 40] == expand.node.weight[64 + 19, 40, 0, 0]
    for prefix, part in (("window_", window), ("", expand)):
        folded = fold(part.node, [tensor_of(place) for place in part.inputs], tensor_of(part.output))
        np.testing.assert_array_equal(made[f"{prefix}scale"], folded.factor)
        np.testing.assert_array_equal(made[f"{prefix}bias"], folded.bias)


def test_shapes_and_clamps_are_those_of_the_parts():
    launch = next(iter(launches(OPERATIONS["wider"], 1).values()))
    window, expand = launch.constants["WINDOW"], launch.constants["EXPAND"]
    assert (window.clamps, expand.clamps) == (0, 2)
    assert (window.kernel_h, window.pad_left, window.is_padded) == (3, 1, True)
    assert (expand.channels, expand.out_channels, expand.residual_pitch) == (64, 512, 0)
    assert launch.arguments["high"] == np.float32(2 / np.float32(0.04))


COMPILED = [("first", 256)]
MORE = [(name, batch_size) for name in OPERATIONS for batch_size in (1, 256)]
OTHERS = [pytest.param(*case, marks=pytest.mark.exhaustive) for case in MORE if case not in COMPILED]


@pytest.mark.parametrize(("name", "batch_size"), [*COMPILED, *OTHERS])
def test_every_choice_compiles_and_its_programs_fit_a_multiprocessor(name, batch_size):
    """Compiled only: Gluon has no interpreter, and results are compared on a GPU (tests/gpu)."""
    found = {
        choice: launch.overlapping() for choice, launch in launches(OPERATIONS[name], batch_size).items()
    }
    for choice, taken in zip(found, all_resources(found.values(), (9, 0)), strict=True):
        warps, programs = choice[4], choice[-1]
        assert taken.waits, choice
        assert taken.spills_bytes <= SPILLS_BYTES, choice
        assert -(-taken.registers // 8) * 8 * 32 * warps * programs <= REGISTERS, choice
        assert (taken.shared_bytes + 1024) * programs <= SHARED_BYTES + 1024, choice
