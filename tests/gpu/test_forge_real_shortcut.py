"""Forge on a GPU: the ends of residual blocks of fp16 and bf16 are as near as their format allows."""

import pytest
from real_operations import real_shortcut

from tensordyno.forge.graph import Clamp
from tensordyno.forge.parts import parts_of
from tensordyno.vocabulary import Precision

pytestmark = pytest.mark.gpu

GUARD = 512  # elements before and behind each storage
BATCHES = (1, 3, 7, 255)
TOLERANCES = {Precision.FP16: 2**-9, Precision.BF16: 2**-6}  # as a part of the largest result
STEPS = (2, 2)
BF16 = Precision.BF16
OPERATIONS = {
    "first": real_shortcut(64, 64, 256, size=(9, 14), beside=16, seed=1),
    "first bf16": real_shortcut(64, 64, 256, size=(9, 14), precision=BF16, seed=1),
    "second": real_shortcut(256, 128, 512, size=(11, 8), stride=STEPS, seed=2),
    "second bf16": real_shortcut(256, 128, 512, size=(11, 8), stride=STEPS, precision=BF16, seed=2),
    "third": real_shortcut(512, 256, 1024, size=(8, 6), stride=STEPS, beside=32, seed=3),
    "fourth": real_shortcut(1024, 512, 2048, size=(4, 7), stride=STEPS, clamp=Clamp(0, 2), seed=4),
    "clamped": real_shortcut(64, 128, 128, size=(7, 5), shortcut_clamp=Clamp(), clamp=None, seed=5),
    "between": real_shortcut(
        128, 64, 64, size=(13, 6), stride=(1, 2), shortcut_clamp=Clamp(-1, 0.5), clamp=Clamp(-1, 3), seed=6
    ),
    "odd": real_shortcut(48, 80, 192, size=(5, 9), stride=(2, 1), beside=8, seed=7),
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
    jobs = [job for operation in OPERATIONS.values() for job in jobs_for(operation, found)]
    assert compile_all(jobs, found) == {}
    return found


def kernel():
    from tensordyno.forge.kernels.hopper_real_shortcut import HopperRealShortcut

    return HopperRealShortcut()


def choices_of(operation, target):
    """Those for few images and those for many."""
    assert kernel().takes(operation, target)
    return tuple(
        dict.fromkeys(
            choice for images in (1, 100_000) for choice in kernel().choices(operation, images, target)
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

    weights = {name: torch.from_numpy(array) for name, array in kernel().weights(operation).items()}
    room = torch.empty(64, dtype=element_of(operation))
    for choice in choices_of(operation, target):
        launch = kernel().launch(operation, choice, 1, lambda view: room, weights, target)
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


def sums_of(part, storages):
    """Of the rounded operands in float64, with the bias: (batch, height, width, channels)."""
    import torch
    from torch.nn import functional

    image = storages[part.inputs[0]][2].permute(0, 3, 1, 2).double()
    weight = torch.from_numpy(part.node.weight).cuda().to(element_of(part)).double()
    bias = torch.from_numpy(part.node.bias).cuda().double()
    return functional.conv2d(image, weight, bias, stride=part.node.stride).permute(0, 2, 3, 1)


def clamped(part, values):
    clamp = part.node.clamp
    return values if clamp is None else values.clamp(clamp.low, clamp.high)


def expected(operation, storages):
    """What comes of both in float64, but for what lies between, which is rounded as it would be stored."""
    shortcut, expand = parts_of(operation)
    between = clamped(shortcut, sums_of(shortcut, storages)).to(element_of(operation)).double()
    return clamped(expand, sums_of(expand, storages) + between)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_both_convolutions_at_once(name, batch_size, target):
    import torch

    operation = OPERATIONS[name]
    weights = {key: torch.from_numpy(array).cuda() for key, array in kernel().weights(operation).items()}
    storages = made(operation, batch_size, seed=batch_size)
    wanted = expected(operation, storages)
    allowed = TOLERANCES[operation.precision] * float(wanted.abs().max())
    whole, _, elements = storages[operation.output]
    for choice in choices_of(operation, target):
        whole.fill_(torch.nan)
        kernel().launch(operation, choice, batch_size, lambda view: storages[view][1], weights, target).run()
        off = (elements.double() - wanted).abs()
        assert bool((off <= allowed).all()), f"{choice}: off by {float(off.max())}, allowed {allowed}"
        elements.fill_(torch.nan)
        assert bool(torch.isnan(whole).all()), f"{choice} wrote beside its output"
