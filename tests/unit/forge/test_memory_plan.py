"""No storage lies where another one is still needed, and memory is used again."""

from dataclasses import replace
from itertools import combinations

import pytest
from forge_graphs import networks
from fused_graphs import network
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.errors import Unsupported
from tensordyno.forge.graph import Add
from tensordyno.forge.lower import lower
from tensordyno.forge.memory_plan import LARGEST_TENSOR, memory_plan
from tensordyno.forge.passes import fuse_convolutions
from tensordyno.forge.program import Format, Operation, Program, View
from tensordyno.forge.simplify import simplify
from tensordyno.vocabulary import Precision

BATCHES = st.sampled_from([1, 3, 7, 255])


def aligned(size):
    return (size + 255) // 256 * 256


def program_of(sizes, reads, output=None):
    """Storage 0 is the image; operation i reads those of `reads[i]` and makes storage i + 1."""
    views = [
        View(storage=f"s{place}", format=Format.INT8, height=1, width=size, channels=1, pitch=1)
        for place, size in enumerate(sizes)
    ]
    operations = [
        Operation(
            node=Add(name=f"n{place}", inputs=tuple(f"s{one}" for one in read), output=f"s{place + 1}"),
            inputs=tuple(views[one] for one in read),
            output=views[place + 1],
            precision=Precision.FP16,
        )
        for place, read in enumerate(reads)
    ]
    return Program(
        input=views[0],
        output=views[-1 if output is None else output],
        operations=tuple(operations),
        storages={view.storage: size for view, size in zip(views, sizes, strict=True)},
    )


@st.composite
def programs(draw):
    sizes = draw(st.lists(st.integers(1, 2000), min_size=2, max_size=12))
    reads = [
        draw(st.lists(st.integers(0, place), min_size=1, max_size=3, unique=True))
        for place in range(len(sizes) - 1)
    ]
    return program_of(sizes, reads, draw(st.integers(1, len(sizes) - 1)))


def needed(program):
    """For each operation, the storages whose bytes must not be touched: step by step, as a device sees it."""
    ends = {program.input.storage, program.output.storage}
    touched = [
        {view.storage for view in (*operation.inputs, operation.output)} for operation in program.operations
    ]
    for step in range(len(touched)):
        before, after = set().union(*touched[: step + 1]), set().union(*touched[step:])
        yield ends | (before & after)


def check(program, batch_size):
    plan = memory_plan(program, batch_size)
    sizes = {name: size * batch_size for name, size in program.storages.items()}
    assert set(plan.offsets) == set(sizes)
    assert plan.arena_bytes % 256 == 0
    assert all(offset % 256 == 0 for offset in plan.offsets.values())
    assert max(plan.offsets[name] + size for name, size in sizes.items()) <= plan.arena_bytes
    assert plan.arena_bytes <= sum(aligned(size) for size in sizes.values())
    for alive in needed(program):
        for one, two in combinations(sorted(alive, key=plan.offsets.__getitem__), 2):
            assert plan.offsets[one] + sizes[one] <= plan.offsets[two]


@given(program=programs(), batch_size=BATCHES)
def test_what_is_needed_together_never_overlaps(program, batch_size):
    check(program, batch_size)


@given(drawn=networks(), precision=st.sampled_from([Precision.FP16, Precision.FP32]), batch_size=BATCHES)
def test_nor_does_it_in_networks(drawn, precision, batch_size):
    check(lower(simplify(drawn[0]), precision), batch_size)


def test_a_chain_of_equal_layers_needs_two_buffers():
    chain = program_of([100, *[1024] * 20, 100], [[place] for place in range(21)])
    assert memory_plan(chain, 3).arena_bytes == 2 * (3 * 1024 + 512)


def test_a_residual_needs_a_third_one_for_as_long_as_it_is_read():
    chain = program_of([64, *[1024] * 6, 64], [[0], [1], [2], [3, 1], [4], [5], [6]])
    assert memory_plan(chain, 1).arena_bytes == 3 * 1024 + 512


def test_the_image_and_the_logits_are_never_written_over():
    sizes = [1024, *[1024] * 6]
    plan = memory_plan(program_of(sizes, [[place] for place in range(6)], output=3), 1)
    assert len({*plan.offsets.values()}) == 4
    for name in ("s0", "s3"):
        assert list(plan.offsets.values()).count(plan.offsets[name]) == 1


def test_tensors_that_kernels_cannot_count_are_refused():
    program = program_of([64, 2**20, 64], [[0], [1]])
    assert memory_plan(program, 2047).arena_bytes > 2047 * 2**20
    with pytest.raises(Unsupported) as caught:
        memory_plan(program, 2048)
    assert caught.value.line() == (
        "In a batch of 2048 the tensor 's1' has 2147483648 elements, and forge's kernels count to 2147483647."
        " Take batches of at most 2047. [unsupported]"
    )


def test_neither_is_what_lies_between_fused_layers():
    net, logits = network("pair", width=48)
    program = lower(fuse_convolutions.run(net.graph(logits)), Precision.INT8)
    program = replace(program, operations=program.operations[1:])  # without the layer that makes as much
    largest = LARGEST_TENSOR // (30 * 48)
    assert memory_plan(program, largest).arena_bytes > 0
    with pytest.raises(Unsupported, match=f"'{net.nodes[2].output}' has"):
        memory_plan(program, largest + 1)
