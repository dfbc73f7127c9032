import numpy as np
import pytest
from forge_launching import (
    BATCH_SIZES,
    assert_as_oracle,
    check,
    laid,
    operation_of,
    run_operation,
    target,
    tries,
    views,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.graph import Concat, Softmax
from tensordyno.forge.kernels.softmax import KERNELS
from tensordyno.forge.program import Format

(KERNEL,) = KERNELS
NAMES = {"name": "softmax", "inputs": ("i",), "output": "o"}
# near float32's smallest normal number, below which devices may make 0, and what the oracle's sum loses of 1
ABSOLUTE = {False: 1e-37, True: 2.0**-52}


@settings(deadline=None, max_examples=tries(100))
@given(
    data=st.data(),
    log=st.booleans(),
    channels=st.sampled_from([1, 2, 3, 16, 33, 130]),
    batch_size=BATCH_SIZES,
    seed=st.integers(0, 2**32),
    spread=st.sampled_from([0.1, 2.0, 20.0]),
)
def test_it_is_the_oracle(data, log, channels, batch_size, seed, spread):
    image = data.draw(views(1, 1, channels))
    output = data.draw(views(1, 1, channels, storage="output"))
    operation = operation_of(Softmax(**NAMES, log=log), [image], output)
    check(KERNEL, operation, batch_size, seed, relative=1e-5, absolute=ABSOLUTE[log], spread=spread)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("classes", [1000, 21841])
def test_as_many_classes_as_networks_have(log, classes):
    image, output = (laid(Format.FP32, 1, 1, classes, storage=name) for name in ("image", "output"))
    operation = operation_of(Softmax(**NAMES, log=log), [image], output)
    for seed in range(len(KERNEL.choices(operation, 2, target()))):
        check(KERNEL, operation, 2, seed, relative=1e-5, absolute=ABSOLUTE[log])


@pytest.mark.parametrize("lead", [0.0, 1e-3, 0.5, 3.0, 8.0, 15.0, 30.0])
def test_the_logarithm_of_a_sure_answer_keeps_its_digits(lead):
    """It is near 0, where a logarithm of a rounded sum has no digits left."""
    image, output = (laid(Format.FP32, 1, 1, 5, storage=name) for name in ("image", "output"))
    operation = operation_of(Softmax(**NAMES, log=True), [image], output)
    real = np.array([[[[1.5, 1.5 + lead, 1.0, -3.0, 0.2]]]], np.float32)
    found = run_operation(KERNEL, operation, KERNEL.choices(operation, 1, target())[0], 1, [real])
    assert_as_oracle(operation, [real], found, relative=1e-5, absolute=ABSOLUTE[True])


def test_what_it_does_not_take():
    image, features, many = (laid(Format.FP32, *size) for size in ((4, 4, 16), (1, 1, 16), (1, 1, 40_000)))
    assert not KERNEL.takes(operation_of(Softmax(**NAMES), [image], image), target())
    assert not KERNEL.takes(operation_of(Softmax(**NAMES), [many], many), target())
    assert not KERNEL.takes(operation_of(Concat(**NAMES), [features], features), target())
