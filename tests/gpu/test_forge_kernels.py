"""Forge's kernels for Hopper on a GPU: every choice makes the oracle's integers, and touches nothing else."""

import numpy as np
import pytest
from hopper_operations import convolution_operation, folded_results, stem_operation

from tensordyno.forge.graph import Clamp

pytestmark = pytest.mark.gpu

POISON = 77
GUARD = 512  # bytes before and behind each storage
BATCHES = (1, 3, 7, 255)
CONVOLUTIONS = {
    "expand": convolution_operation(64, 256, size=(9, 14), residual=True, beside=16, seed=1),
    "point": convolution_operation(64, 64, size=(13, 6), clamp=None, seed=2),
    "wide": convolution_operation(128, 512, size=(7, 5), residual=True, clamp=Clamp(-1, 3), seed=3),
    "deep": convolution_operation(256, 128, size=(8, 6), residual=True, beside=32, seed=4),
    "deeper": convolution_operation(512, 256, size=(7, 4), clamp=Clamp(0, 3), seed=5),
    "odd": convolution_operation(192, 192, size=(5, 9), residual=True, seed=6),
    "strided": convolution_operation(256, 512, size=(11, 8), stride=(2, 2), beside=16, seed=7),
    "window": convolution_operation(64, 64, size=(9, 12), kernel=(3, 3), residual=True, beside=16, seed=8),
    "window of steps": convolution_operation(
        128, 128, size=(14, 9), kernel=(3, 3), stride=(2, 1), clamp=None, seed=9
    ),
    "lopsided": convolution_operation(96, 64, size=(6, 11), kernel=(1, 7), pads=(0, 3, 1, 2), seed=10),
}
STEMS = {
    "narrow": stem_operation((32, 24), beside=16, seed=1),
    "usual": stem_operation((224, 224), seed=2),
    "wide": stem_operation((40, 480), clamp=Clamp(-1, 2.5), seed=3),
}


@pytest.fixture(scope="module")
def target():
    """The GPU at hand, if it is a Hopper, with all kernels compiled on all cores."""
    import torch
    import triton

    from tensordyno.forge.compile_ahead import compile_all
    from tensordyno.forge.kernels.base import Target

    if triton.knobs.runtime.interpret:
        pytest.skip("Triton's interpreter was chosen; these tests need a process without it")
    capability = torch.cuda.get_device_capability()
    if capability[0] != 9:
        pytest.skip("these kernels are for Hopper")
    found = Target(capability=capability)
    jobs = [
        job for operation in (*CONVOLUTIONS.values(), *STEMS.values()) for job in jobs_for(operation, found)
    ]
    assert compile_all(jobs, found) == {}
    return found


def kernel_for(operation):
    """The kernel that such an operation is for."""
    from tensordyno.forge.kernels.hopper_convolution import HopperConvolution
    from tensordyno.forge.kernels.hopper_stem import HopperStem

    return HopperStem() if operation.inputs[0].channels == 3 else HopperConvolution()


def choices_of(operation, target):
    """Those for few images and those for many."""
    kernel = kernel_for(operation)
    assert kernel.takes(operation, target)
    return tuple(
        dict.fromkeys(
            choice for images in (1, 100_000) for choice in kernel.choices(operation, images, target)
        )
    )


def jobs_for(operation, target):
    """What has to be compiled for all choices of an operation."""
    import torch

    from tensordyno.forge.compile_job import jobs_of

    kernel = kernel_for(operation)
    weights = {name: torch.from_numpy(array) for name, array in kernel.weights(operation).items()}
    room = torch.empty(operation.inputs[0].pixels * 16, dtype=torch.int8)
    for choice in choices_of(operation, target):
        launch = kernel.launch(
            operation, choice, 1, lambda view: room, weights, target, room.view(torch.uint8)
        )
        yield from (job.packed() for job in jobs_of(launch))


def made(operation, batch_size, seed):
    """A random storage in poison for each view: (whole, flat from the view on, the view's elements)."""
    import torch

    generator = torch.Generator("cuda").manual_seed(seed)
    storages = {}
    for view in (*operation.inputs, operation.output):
        length = batch_size * view.pixels * view.pitch
        whole = torch.full((length + 2 * GUARD,), POISON, dtype=torch.int8, device="cuda")
        inner = whole[GUARD:-GUARD]
        pixels = inner.view(batch_size, view.height, view.width, view.pitch)
        elements = pixels[..., view.first : view.first + view.channels]
        if view is not operation.output:
            random = torch.randint(-128, 128, elements.shape, device="cuda", generator=generator)
            elements.copy_(random)
        storages[view] = (whole, inner[view.first :], elements)
    return storages


def expected(operation, storages):
    """Exact sums by a float64 convolution, then the folded epilogue; the maximum of those of a stem."""
    import torch
    from torch.nn import functional

    node = getattr(operation.node, "convolution", operation.node)
    image = storages[operation.inputs[0]][2].permute(0, 3, 1, 2).double()
    top, left, bottom, right = node.pads
    image = functional.pad(image, (left, right, top, bottom))
    weight = torch.from_numpy(node.weight).cuda().double()
    sums = functional.conv2d(image, weight, stride=node.stride)
    if node is not operation.node:
        sums = functional.max_pool2d(sums, 3, 2, 1)
    residual = storages[operation.inputs[1]][2].cpu().numpy() if node.has_residual else None
    return folded_results(operation, sums.permute(0, 2, 3, 1).cpu().numpy(), residual)


def check(operation, batch_size, target):
    import torch

    kernel = kernel_for(operation)
    weights = {name: torch.from_numpy(array).cuda() for name, array in kernel.weights(operation).items()}
    storages = made(operation, batch_size, seed=batch_size)
    wanted = expected(operation, storages)
    whole, _, elements = storages[operation.output]
    for choice in choices_of(operation, target):
        whole.fill_(POISON)
        size_bytes = kernel.scratch_bytes(operation, choice, batch_size)
        scratch = torch.full((size_bytes,), POISON, dtype=torch.uint8, device="cuda")
        kernel.launch(
            operation, choice, batch_size, lambda view: storages[view][1], weights, target, scratch
        ).run()
        found = elements.cpu().numpy()
        differ = np.argwhere(found != wanted)
        assert len(differ) == 0, f"{choice}: {len(differ)} differ, first {differ[:4].tolist()}"
        elements.fill_(POISON)
        assert torch.all(whole == POISON), f"{choice} wrote beside its output"


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, batch_size, target):
    check(CONVOLUTIONS[name], batch_size, target)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", STEMS)
def test_stems(name, batch_size, target):
    check(STEMS[name], min(batch_size, 7) if name == "usual" else batch_size, target)
