"""Where images go before a compiled network runs; streams and graphs are tested on a GPU."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensordyno.engines.forge_step import Converting, NativePlacement, answers  # noqa: E402

SCALE = 0.25
SHAPE = (2, 3, 4)  # channels, height, width


class Sums:
    """A compiled network as a step sees it: logits are the sums of each channel's integers."""

    def __init__(self, batch_size):
        channels, height, width = SHAPE
        self.batch_size = batch_size
        self.input = torch.full((batch_size, height, width, channels), 99, dtype=torch.int8)
        self.logits = torch.full((batch_size, channels), float("nan"))

    def enter(self, images):
        assert images.dtype == torch.float32 and len(images) <= self.batch_size
        rounded = (images / SCALE).round().clamp(-128, 127).to(torch.int8)
        self.input[: len(images)].copy_(rounded.permute(0, 2, 3, 1))

    def run(self):
        self.logits.copy_(self.input.float().sum(dim=(1, 2)))


def images(count):
    random = np.random.default_rng(4)
    return random.standard_normal((count, *SHAPE), np.float32)


def integers(given, batch_size):
    """What must lie in front of the first layer: images repeated in order, channels last."""
    repeated = np.resize(given, (batch_size, *SHAPE)).transpose(0, 2, 3, 1)
    return np.clip(np.rint(repeated / SCALE), -128, 127).astype(np.int8)


@pytest.mark.parametrize(("count", "batch_size"), [(1, 1), (3, 3), (1, 7), (3, 7), (4, 8), (5, 3)])
def test_images_lie_on_the_device_in_the_network_s_own_form(count, batch_size):
    network, given = Sums(batch_size), images(count)
    there = NativePlacement.of(network, "cpu").placed(given, batch_size)
    assert there is network.input and there.dtype == torch.int8
    np.testing.assert_array_equal(there.numpy(), integers(given[:batch_size], batch_size))


def test_images_that_cannot_be_written_are_left_alone():
    given = images(2)
    given.flags.writeable = False
    before = given.copy()
    NativePlacement.of(Sums(2), "cpu").placed(given, 2)
    np.testing.assert_array_equal(given, before)


def test_a_host_step_fills_the_input_anew_by_copying_float32_images():
    network, given, other = Sums(3), images(3), images(6)[3:]
    there = Converting.of(network, "cpu").placed(given, 3)
    np.testing.assert_array_equal(network.input.numpy(), integers(given, 3))
    there.copy_(torch.from_numpy(other))
    np.testing.assert_array_equal(network.input.numpy(), integers(other, 3))


def test_answers_are_the_caller_s_own():
    network, given = Sums(3), images(3)
    first = answers(network, given, "cpu")
    np.testing.assert_array_equal(first, integers(given, 3).astype(np.float32).sum(axis=(1, 2)))
    kept = first.copy()
    assert not np.array_equal(answers(network, images(6)[3:], "cpu"), kept)
    np.testing.assert_array_equal(first, kept)
