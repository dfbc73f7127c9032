from dataclasses import replace

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from real_operations import real, real_operation, real_stem

from tensordyno.forge.graph import Tensor
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.hopper_programs import REGISTERS, SHARED_BYTES
from tensordyno.forge.kernels.hopper_real_stem import HopperRealStem, pack_launch
from tensordyno.forge.kernels.reference import compute
from tensordyno.forge.kernels.reference_values import Value
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

KERNEL = HopperRealStem()
HOPPER = Target()
OPERATIONS = {
    "residual network": real_stem(size=(224, 224)),
    "small": real_stem(32, size=(19, 14), kernel=(3, 3), pads=(0, 0, 1, 1), clamp=None),
    "large": real_stem(size=(31, 35), channels=4, kernel=(11, 11), stride=(4, 4), pads=(2, 2, 2, 2)),
    "bf16": real_stem(96, size=(24, 40), channels=1, kernel=(5, 2), precision=Precision.BF16, beside=8),
    "narrow": real_stem(size=(6, 9), kernel=(1, 1), pads=(0, 0, 0, 0)),
}


def kind_of(operation):
    return torch.float16 if operation.precision is Precision.FP16 else torch.bfloat16


def launches(operation, batch_size):
    weights = {name: torch.from_numpy(array) for name, array in KERNEL.weights(operation).items()}
    image = torch.empty(64, dtype=kind_of(operation))
    found = {}
    for choice in KERNEL.choices(operation, batch_size, HOPPER):
        scratch = torch.empty(KERNEL.scratch_bytes(operation, choice, batch_size), dtype=torch.uint8)
        found[choice] = KERNEL.launch(
            operation, choice, batch_size, lambda place: image, weights, HOPPER, scratch
        )
    return found


def packed(operation, images):
    """What the packing kernel makes of images (batch, height, width, channels), by the interpreter."""
    (choice, *_) = KERNEL.choices(operation, len(images), HOPPER)
    size = KERNEL.scratch_bytes(operation, choice, len(images)) // 2
    lines = torch.full((size + 32,), torch.nan, dtype=torch.float16)
    flat = torch.from_numpy(images).half().flatten()
    pack_launch(operation, len(images), torch.cat([flat, lines[-9:]]), lines[:size]).run()
    assert torch.all(torch.isnan(lines[size:]))
    return lines[:size].float().numpy().reshape(len(images), images.shape[1], -1, 4)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "bf16"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_its_convolution_over_packed_lines_is_that_of_the_operation(name, batch_size):
    operation = OPERATIONS[name]
    if name == "residual network":
        operation = real_stem(size=(20, 36))
    node, view = operation.node, operation.inputs[0]
    shape = (batch_size, view.height, view.width, view.channels)
    images = np.random.default_rng(1).integers(-9, 10, shape).astype(np.float32)
    lines = packed(operation, images)
    launch = next(iter(launches(operation, batch_size).values()))
    made = launch.constants["SHAPE"]
    rows = np.pad(lines, ((0, 0), (node.pads[0], node.pads[2]), (0, 0), (0, 0))).reshape(batch_size, -1)
    line = made.width * made.pitch
    weight = KERNEL.weights(operation)["weight"].reshape(made.out_channels, -1).astype(np.float32)
    found = np.zeros((batch_size, made.out_height, made.out_width, made.out_channels), np.float32)
    for y in range(made.out_height):
        for x in range(made.out_width):
            first = y * made.stride_h * line + x * made.pitch
            window = [rows[:, first + tap * line :][:, : made.channels] for tap in range(made.kernel_h)]
            found[:, y, x] = np.concatenate(window, axis=1) @ weight.T
    rounded = node.weight.astype(np.float16).astype(np.float32)
    plain = replace(node, weight=rounded, bias=None, clamp=None)
    place = operation.output
    tensor = Tensor(place.storage, (place.channels, place.height, place.width))
    expected = compute(plain, [Value(images.transpose(0, 3, 1, 2))], tensor).numbers
    np.testing.assert_allclose(found.transpose(0, 3, 1, 2), expected, atol=1e-4)


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_it_takes(name):
    assert KERNEL.takes(OPERATIONS[name], HOPPER)


OPERATION = OPERATIONS["residual network"]
REFUSED = {
    "many channels": real_operation(16, 64, kernel=(3, 3), stride=(2, 2)),
    "odd steps": real_stem(stride=(2, 1)),
    "few results": real_stem(48),
    "a wide window": real_stem(size=(40, 40), kernel=(1, 17)),
    "an odd pitch": real_stem(beside=4),
    "another format": replace(OPERATION, precision=Precision.BF16),
    "strict arithmetic": replace(OPERATION, precision=Precision.FP32),
    "real results of another format": replace(OPERATION, output=real(OPERATION.output, Format.FP32)),
    "groups": replace(OPERATION, node=replace(OPERATION.node, groups=3)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses(name):
    assert not KERNEL.takes(REFUSED[name], HOPPER)


@pytest.mark.parametrize("target", [Target(interpreted=True), Target(capability=(8, 0))])
def test_it_runs_on_hopper_only(target):
    assert not KERNEL.takes(OPERATION, target)


@pytest.mark.parametrize("batch_size", [1, 256])
@pytest.mark.parametrize("name", OPERATIONS)
def test_programs_cover_the_image_and_the_result(name, batch_size):
    operation = OPERATIONS[name]
    node = operation.node
    for (rows, columns, *_), launch in launches(operation, batch_size).items():
        pixels = batch_size * operation.output.pixels
        assert launch.grid == (-(-pixels // rows) * (operation.output.channels // columns),)
        (packing,) = launch.before
        across = packing.constants["ACROSS"]
        assert packing.arguments["pixels"] == batch_size * operation.inputs[0].height * across
        assert packing.grid[0] * packing.constants["BLOCK"] >= packing.arguments["pixels"]
        made = launch.constants["SHAPE"]
        assert made.width * made.pitch == across * 4 and made.pitch % 8 == 0
        assert (made.out_width - 1) * made.pitch + made.channels <= across * 4
        assert node.weight.shape[3] * 4 <= made.channels == launch.constants["TILE"].block_k


OTHERS = [pytest.param(name, marks=pytest.mark.exhaustive) for name in OPERATIONS if name != "bf16"]


@pytest.mark.parametrize("name", ["bf16", *OTHERS])
def test_every_choice_compiles(name):
    """Compiled only: Gluon has no interpreter, and results are compared on a GPU (tests/gpu)."""
    found = launches(OPERATIONS[name], 8)
    for choice, taken in zip(found, all_resources(found.values(), (9, 0)), strict=True):
        assert taken.waits and taken.spills_bytes == 0, choice
        assert taken.registers * 32 * choice[3] <= REGISTERS and taken.shared_bytes <= SHARED_BYTES


def test_the_packing_compiles():
    (launch, *_) = launches(OPERATION, 3).values()
    (taken,) = all_resources(launch.before, (9, 0))
    assert taken.waits and taken.registers < 64 and taken.spills_bytes == 0
