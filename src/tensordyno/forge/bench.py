"""Memory and numbers for one operation by itself, away from its network, to time its candidates on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tensordyno.forge.devices import Device
from tensordyno.forge.program import Format, Operation, View
from tensordyno.forge.storages import Storages, allocated, element_type

if TYPE_CHECKING:
    import torch

_CACHE_BYTES = 2 * (60 << 20)  # twice Hopper's second-level cache, the largest so far
_IN_CACHE = 8  # images: a batch of so few finds its tensors in the cache in its network, too
_MOST_SETS = 64
_POISON = -91  # 165 of uint8; what outputs hold before a kernel writes them
_SPREAD = 40  # of random integers: sums of their products seldom leave the range of the output
_INTEGERS = (Format.INT8, Format.UINT8)
# The largest difference of two right results, as a part of the largest number: a few units in the last place,
# since sums are taken in different orders.
_TOLERANCES = {Format.FP16: 2**-9, Format.BF16: 2**-6, Format.FP32: 2**-10}


class Bench:
    """Several sets of an operation's tensors, all with the same random inputs.

    In a large batch a kernel finds its inputs in memory, not in the cache: there are so many sets that it
    finds those here in memory as well, if it takes them in turn.
    """

    def __init__(
        self, operation: Operation, batch_size: int, sizes_bytes: Mapping[str, int], device: Device
    ) -> None:
        """`sizes_bytes` are those of the program's storages, for one image."""
        self.operation = operation
        self.batch_size = batch_size
        names = {view.storage for view in (*operation.inputs, operation.output)}
        sizes = {name: sizes_bytes[name] * batch_size for name in sorted(names)}
        first = {name: allocated(size, device.torch).zero_() for name, size in sizes.items()}
        self.sets = [Storages(first)]
        for number, view in enumerate(operation.inputs):
            self._fill(view, number)
        for _ in range(sets_needed(batch_size, sum(sizes.values())) - 1):
            copies = {name: allocated(size, device.torch).copy_(first[name]) for name, size in sizes.items()}
            self.sets.append(Storages(copies))

    def poison(self) -> None:
        """Overwrite the first set's output, so that what is found there is a kernel's own."""
        output = self.sets[0].images(self.operation.output, self.batch_size)
        output.fill_(_POISON % 256 if self.operation.output.format is Format.UINT8 else _POISON)

    def result(self) -> "torch.Tensor":
        """What stands in the first set's output for the first two images and the last one, float32."""
        images = self.sets[0].images(self.operation.output, self.batch_size)
        picked = sorted({0, min(1, self.batch_size - 1), self.batch_size - 1})
        return images[picked].float()

    def difference(self, found: "torch.Tensor", expected: "torch.Tensor") -> str:
        """How two results differ by more than they may: a step of integers, roundings of real numbers."""
        import torch

        allowed = 1.0
        if self.operation.output.format not in _INTEGERS:
            allowed = _TOLERANCES[self.operation.output.format] * float(expected.abs().max())
        wrong = torch.isnan(found) | ((found - expected).abs() > allowed)
        count = int(wrong.sum())
        return f"{count} of {wrong.numel()} numbers are wrong" if count else ""

    def _fill(self, view: View, seed: int) -> None:
        import torch

        images = self.sets[0].images(view, self.batch_size)
        generator = torch.Generator(images.device).manual_seed(seed)
        if view.format in _INTEGERS:
            low = 0 if view.format is Format.UINT8 else -_SPREAD
            images.copy_(
                torch.randint(
                    low,
                    _SPREAD + 1,
                    images.shape,
                    generator=generator,
                    dtype=element_type(view.format),
                    device=images.device,
                )
            )
        else:
            images.copy_(torch.randn(images.shape, generator=generator, device=images.device))


def sets_needed(batch_size: int, size_bytes: int) -> int:
    """How many sets of that size are no longer in the cache when it is the first one's turn again."""
    return 1 if batch_size <= _IN_CACHE else min(-(-_CACHE_BYTES // size_bytes), _MOST_SETS)
