from dataclasses import replace

import pytest

from tensordyno.forge.kernels.base import Launch, Target


class Recorder:
    """A kernel function that writes down how it is called."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def __getitem__(self, grid):
        return lambda **given: self.calls.append((self.name, grid, given))


def test_what_a_launch_reads_is_made_before_it():
    calls = []
    first, second, last = (
        Launch(function=Recorder(name, calls), grid=(number,), arguments={"x": number})
        for number, name in enumerate(("first", "second", "last"), 1)
    )
    last = Launch(
        function=last.function,
        grid=(2, 3),
        arguments={"x": 5},
        constants={"BLOCK": 16},
        num_warps=8,
        before=(first, second),
    )
    last.run()
    assert [name for name, *_ in calls] == ["first", "second", "last"]
    assert calls[-1] == ("last", (2, 3), {"x": 5, "BLOCK": 16, "num_warps": 8, "num_stages": 2})


def test_a_launch_that_overlaps_says_so_to_the_compiler_and_so_does_what_comes_before_it():
    calls = []
    first, last = (Launch(function=Recorder(name, calls), grid=(1,), arguments={}) for name in "ab")
    replace(last, before=(first,)).overlapping().run()
    assert [given["launch_pdl"] for _, _, given in calls] == [True, True]


@pytest.mark.parametrize(
    ("target", "overlaps"),
    [
        (Target(), True),
        (Target(capability=(10, 0)), True),
        (Target(capability=(8, 9)), False),
        (Target(interpreted=True), False),
    ],
)
def test_kernels_overlap_from_hopper_on(target, overlaps):
    assert target.overlaps is overlaps
