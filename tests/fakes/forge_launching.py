"""Launches one kernel on made-up storages and compares what it leaves there with the oracle's.

Everything that no input covers holds garbage: the padding of pixels, other tensors of the same storage, the
output before it is written and some elements before and behind each storage. With TRITON_INTERPRET=0 on a
machine that has a GPU the same tests hold the compiled kernels against the oracle.
"""

import os
from dataclasses import replace

import numpy as np
import torch
from hypothesis import strategies as st

from tensordyno.forge.graph import Tensor
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.number_formats import rounded
from tensordyno.forge.kernels.reference import compute
from tensordyno.forge.kernels.reference_values import Value, store
from tensordyno.forge.program import CHANNEL_GRAIN, Format, Operation, View
from tensordyno.vocabulary import Precision

ELEMENTS = {
    Format.INT8: torch.int8,
    Format.UINT8: torch.uint8,
    Format.FP16: torch.float16,
    Format.BF16: torch.bfloat16,
    Format.FP32: torch.float32,
}
INTEGERS = (Format.INT8, Format.UINT8)
ROUNDED = {Format.FP16: Precision.FP16, Format.BF16: Precision.BF16, Format.FP32: Precision.FP32}
FORMATS = st.sampled_from(list(Format))
BATCH_SIZES = st.sampled_from([1, 3, 5])
GUARD = 256  # elements before and behind a storage
ON_GPU = os.environ.get("TRITON_INTERPRET") != "1"
DEVICE = "cuda" if ON_GPU else "cpu"


def target():
    """The device at hand: a GPU, or Triton's interpreter."""
    if ON_GPU:
        return Target(capability=torch.cuda.get_device_capability())
    return Target(interpreted=True)


def tries(count):
    """How many examples a property is tried on: fewer on a GPU, where each shape is compiled."""
    return max(5, count // 12) if ON_GPU else count


def run_operation(kernel, operation, choice, batch_size, inputs, *, garbage=None):
    """The output (batch, height, width, channels) of one launch: integers as they are, else float32.

    `inputs` are arrays (batch, height, width, channels), one for each input of the operation: integers or
    floats, which are rounded to the view's format. Views that name one storage share it. `garbage` is what
    stands in all other places, NaN (77 among integers) unless told. Raises AssertionError where the kernel
    writes outside the output.
    """
    storages = _storages(operation, batch_size, garbage)
    for view, numbers in zip(operation.inputs, inputs, strict=True):
        _elements(storages, view, batch_size).copy_(_stored(view, numbers))
    before = {name: storage.clone() for name, storage in storages.items()}
    where = target()
    weights = {name: torch.tensor(array, device=DEVICE) for name, array in kernel.weights(operation).items()}
    more = _scratch(kernel.scratch_bytes(operation, choice, batch_size))
    kernel.launch(operation, choice, batch_size, _flat(storages), weights, where, **more).run()
    found = _elements(storages, operation.output, batch_size).clone()
    _elements(before, operation.output, batch_size).copy_(found)
    for name, storage in storages.items():
        changed = torch.nonzero(_bits(storage) != _bits(before[name]))
        assert len(changed) == 0, f"{kernel.name} wrote outside its output: {name} at {changed[:5].tolist()}"
    return _numpy(found)


def oracle(operation, inputs):
    """What the reference makes of the same inputs: integers, or float32 not yet rounded to the format.

    Inputs are first rounded to the formats of their views, as storing them does.
    """
    values = []
    for view, numbers in zip(operation.inputs, inputs, strict=True):
        stored = _numpy(_stored(view, numbers)).transpose(0, 3, 1, 2)
        values.append(Value(stored, None if view.scale is None else np.float32(view.scale)))
    return compute(operation.node, values, tensor_of(operation.output)).numbers.transpose(0, 2, 3, 1)


def check(kernel, operation, batch_size, seed, *, relative=0.0, absolute=0.0, spread=2.0):
    """Runs an operation on random numbers and compares with the oracle; the seed picks the choice too.

    The kernel may be off by `relative` of the real value plus `absolute` before it rounds to the output's
    format; both 0: not at all. Raises AssertionError where it does not take the operation.
    """
    assert kernel.takes(operation, target())
    choices = kernel.choices(operation, batch_size, target())
    random = np.random.default_rng(seed)
    inputs = [numbers_for(view, batch_size, random, spread) for view in operation.inputs]
    found = run_operation(kernel, operation, choices[seed % len(choices)], batch_size, inputs)
    assert_as_oracle(operation, inputs, found, relative=relative, absolute=absolute)


def assert_as_oracle(operation, inputs, found, *, relative=0.0, absolute=0.0):
    """Compares what a kernel made with the oracle, with the tolerances of `check`.

    Rounding keeps order: what is off by no more than that lies between the rounded ends.
    """
    if not (relative or absolute):
        expected = rounded_to(oracle(operation, inputs), operation.output)
        np.testing.assert_array_equal(found, expected)
        return
    exact = replace(operation, output=replace(operation.output, format=Format.FP32, scale=None))
    real = oracle(exact, inputs).astype(np.float64)
    apart = np.abs(real) * relative + absolute
    assert (found >= stored_as(real - apart, operation.output)).all()
    assert (found <= stored_as(real + apart, operation.output)).all()


def stored_as(real, view):
    """Real numbers as that view stores them: integers of its scale, or rounded float32."""
    real = real.astype(np.float32)
    if view.format in INTEGERS:
        return store(real, tensor_of(view)).numbers
    return rounded_to(real, view)


def rounded_to(numbers, view):
    """Real numbers as that view stores them, as float32."""
    return numbers if view.format in INTEGERS else rounded(numbers, ROUNDED[view.format])


def tensor_of(view):
    """The graph's tensor that lies there, always an image."""
    shape = view.channels, view.height, view.width
    return Tensor(view.storage, shape, view.scale, view.format is Format.UINT8)


def operation_of(node, inputs, output, precision=Precision.FP16):
    """A node with views; the precision matters to products only."""
    return Operation(node=node, inputs=tuple(inputs), output=output, precision=precision)


def laid(
    format, height, width, channels, *, storage="image", first=0, more=0, scale=None, grain=CHANNEL_GRAIN
):
    """Where a tensor lies, with `first` channels of others before it in each pixel and `more` behind it.

    `grain` 1: pixels without padding, as in the program's input.
    """
    pitch = -(-(first + channels + more) // grain) * grain
    integer = format in INTEGERS
    return View(
        storage=storage,
        format=format,
        height=height,
        width=width,
        channels=channels,
        pitch=pitch,
        first=first,
        scale=(scale or 0.05) if integer else None,
    )


@st.composite
def views(draw, height, width, channels, storage="image", formats=FORMATS):
    """Views of an image: any format, alone in its storage or beside others, of some scale."""
    first = draw(st.sampled_from([0, 0, 16, 8, 5]))
    more = draw(st.sampled_from([0, 0, 20]))
    scale = draw(st.sampled_from([0.05, 0.031, 0.11]))
    return laid(draw(formats), height, width, channels, storage=storage, first=first, more=more, scale=scale)


def numbers_for(view, batch_size, random, spread=2.0):
    """Random numbers (batch, height, width, channels) that fit a view: any integers, or normal reals."""
    shape = batch_size, view.height, view.width, view.channels
    if view.format in INTEGERS:
        kind = np.iinfo(view.format.value)
        return random.integers(kind.min, kind.max + 1, shape, kind.dtype)
    return rounded_to((random.standard_normal(shape) * spread).astype(np.float32), view)


def _storages(operation, batch_size, garbage):
    """A flat tensor of garbage for each storage, with guards around."""
    made = {}
    for place in (*operation.inputs, operation.output):
        kind = ELEMENTS[place.format]
        length = batch_size * place.pixels * place.pitch + 2 * GUARD
        fill = (float("nan") if kind.is_floating_point else 77) if garbage is None else garbage
        storage = made.setdefault(place.storage, torch.full((length,), fill, dtype=kind, device=DEVICE))
        assert storage.dtype is kind and len(storage) == length, f"{place.storage} has two layouts."
    return made


def _scratch(size_bytes):
    """What base.py calls scratch, full of garbage, for those who ask for it."""
    return {"scratch": torch.full((size_bytes,), 255, dtype=torch.uint8, device=DEVICE)} if size_bytes else {}


def _flat(storages):
    """Tensors of base.py: from a view's first element to the end of its storage."""
    return lambda place: storages[place.storage][GUARD + place.first : -GUARD]


def _elements(storages, place, batch_size):
    """The elements of a view, (batch, height, width, channels), in place."""
    pixels = storages[place.storage][GUARD:-GUARD].view(batch_size, place.height, place.width, place.pitch)
    return pixels[..., place.first : place.first + place.channels]


def _stored(place, numbers):
    return torch.from_numpy(np.ascontiguousarray(numbers)).to(ELEMENTS[place.format])


def _numpy(stored):
    return (stored.float() if stored.dtype.is_floating_point else stored).cpu().numpy()


def _bits(storage):
    """Bytes, so that NaN equals itself."""
    return storage.view(torch.uint8).view(-1, storage.element_size())
