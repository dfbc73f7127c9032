"""Forge's kernels of fp16 and bf16 for Hopper on a GPU: every choice is as near as its format allows."""

import pytest
from real_operations import real_operation, real_stem

from tensordyno.forge.graph import Clamp
from tensordyno.vocabulary import Precision

pytestmark = pytest.mark.gpu

GUARD = 512  # elements before and behind each storage
BATCHES = (1, 3, 7, 255)
TOLERANCES = {Precision.FP16: 2**-9, Precision.BF16: 2**-6}  # as a part of the largest result
BF16 = Precision.BF16
CONVOLUTIONS = {
    "expand": real_operation(64, 256, size=(9, 14), residual=True, beside=16, seed=1),
    "expand bf16": real_operation(64, 256, size=(9, 14), residual=True, precision=BF16, seed=1),
    "point": real_operation(64, 64, size=(13, 6), clamp=None, seed=2),
    "wide": real_operation(128, 512, size=(7, 5), residual=True, clamp=Clamp(-1, 3), seed=3),
    "wide bf16": real_operation(128, 512, size=(7, 5), clamp=Clamp(-1, 3), precision=BF16, seed=3),
    "deep": real_operation(256, 128, size=(8, 6), residual=True, beside=32, seed=4),
    "deeper": real_operation(512, 256, size=(7, 4), clamp=Clamp(0, 1), seed=5),
    "odd": real_operation(192, 192, size=(5, 9), residual=True, seed=6),
    "strided": real_operation(256, 512, size=(11, 8), stride=(2, 2), beside=8, seed=7),
    "window": real_operation(64, 64, size=(9, 12), kernel=(3, 3), residual=True, beside=16, seed=8),
    "window of steps": real_operation(
        128, 256, size=(14, 9), kernel=(3, 3), stride=(2, 1), clamp=None, seed=9
    ),
    "window bf16": real_operation(128, 256, size=(6, 9), kernel=(3, 3), precision=BF16, seed=10),
    "lopsided": real_operation(48, 64, size=(6, 11), kernel=(1, 7), pads=(0, 3, 1, 2), seed=11),
    "stem": real_stem(size=(36, 26), beside=16, seed=12),
    "stem bf16": real_stem(size=(36, 26), precision=BF16, clamp=None, seed=12),
    "small stem": real_stem(32, size=(19, 14), kernel=(3, 3), pads=(0, 0, 1, 1), seed=13),
    "large stem": real_stem(size=(31, 35), channels=4, kernel=(11, 11), stride=(4, 4), pads=(2, 2, 2, 2)),
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
    jobs = [job for operation in CONVOLUTIONS.values() for job in jobs_for(operation, found)]
    assert compile_all(jobs, found) == {}
    return found


def kernel_for(operation):
    """The kernel that such an operation is for."""
    from tensordyno.forge.kernels.hopper_real import HopperReal
    from tensordyno.forge.kernels.hopper_real_stem import HopperRealStem

    return HopperRealStem() if operation.inputs[0].channels <= 4 else HopperReal()


def choices_of(operation, target):
    """Those for few images and those for many."""
    kernel = kernel_for(operation)
    assert kernel.takes(operation, target)
    return tuple(
        dict.fromkeys(
            choice for images in (1, 100_000) for choice in kernel.choices(operation, images, target)
        )
    )


def element_of(operation):
    """The type of torch in which an operation computes."""
    import torch

    return {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}[operation.precision]


def jobs_for(operation, target):
    """What has to be compiled for all choices of an operation."""
    import torch

    from tensordyno.forge.compile_job import jobs_of

    kernel = kernel_for(operation)
    weights = {name: torch.from_numpy(array) for name, array in kernel.weights(operation).items()}
    room = torch.empty(64, dtype=element_of(operation))
    for choice in choices_of(operation, target):
        scratch = torch.empty(kernel.scratch_bytes(operation, choice, 1), dtype=torch.uint8)
        launch = kernel.launch(operation, choice, 1, lambda view: room, weights, target, scratch)
        yield from (job.packed() for job in jobs_of(launch))


def made(operation, batch_size, seed):
    """A random storage among NaN for each view: (whole, flat from the view on, the view's elements)."""
    import torch

    generator = torch.Generator("cuda").manual_seed(seed)
    storages = {}
    for view in (*operation.inputs, operation.output):
        length = batch_size * view.pixels * view.pitch
        whole = torch.full((length + 2 * GUARD,), torch.nan, dtype=element_of(operation), device="cuda")
        inner = whole[GUARD:-GUARD]
        pixels = inner.view(batch_size, view.height, view.width, view.pitch)
        elements = pixels[..., view.first : view.first + view.channels]
        if view is not operation.output:
            elements.copy_(torch.randn(elements.shape, device="cuda", generator=generator))
        storages[view] = (whole, inner[view.first :], elements)
    return storages


def expected(operation, storages):
    """What comes of the rounded operands in float64, (batch, height, width, channels)."""
    import torch
    from torch.nn import functional

    node = operation.node
    image = storages[operation.inputs[0]][2].permute(0, 3, 1, 2).double()
    top, left, bottom, right = node.pads
    image = functional.pad(image, (left, right, top, bottom))
    weight = torch.from_numpy(node.weight).cuda().to(element_of(operation)).double()
    bias = torch.from_numpy(node.bias).cuda().double()
    wanted = functional.conv2d(image, weight, bias, stride=node.stride).permute(0, 2, 3, 1)
    if node.has_residual:
        wanted = wanted + storages[operation.inputs[1]][2].double()
    return wanted if node.clamp is None else wanted.clamp(node.clamp.low, node.clamp.high)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, batch_size, target):
    import torch

    operation = CONVOLUTIONS[name]
    kernel = kernel_for(operation)
    weights = {key: torch.from_numpy(array).cuda() for key, array in kernel.weights(operation).items()}
    storages = made(operation, batch_size, seed=batch_size)
    wanted = expected(operation, storages)
    allowed = TOLERANCES[operation.precision] * float(wanted.abs().max())
    whole, _, elements = storages[operation.output]
    for choice in choices_of(operation, target):
        whole.fill_(torch.nan)
        size_bytes = kernel.scratch_bytes(operation, choice, batch_size)
        scratch = torch.full((size_bytes,), 255, dtype=torch.uint8, device="cuda")  # NaN of any format
        kernel.launch(
            operation, choice, batch_size, lambda view: storages[view][1], weights, target, scratch
        ).run()
        off = (elements.double() - wanted).abs()
        assert bool((off <= allowed).all()), f"{choice}: off by {float(off.max())}, allowed {allowed}"
        elements.fill_(torch.nan)
        assert bool(torch.isnan(whole).all()), f"{choice} wrote beside its output"
