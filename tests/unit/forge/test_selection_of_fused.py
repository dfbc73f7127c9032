"""Fused operations against their parts: kernels that fill their output and say how long they would take."""

import pytest
import torch
import triton
import triton.language as tl
from forge_kernels import CPU
from fused_graphs import network

from tensordyno.forge import selection, trials
from tensordyno.forge.choices import Chosen
from tensordyno.forge.compile_job import unpacked
from tensordyno.forge.devices import Device
from tensordyno.forge.graph import Convolution, Fused
from tensordyno.forge.kernels import catalogue
from tensordyno.forge.kernels.base import Kernel, Launch, Target
from tensordyno.forge.lower import lower
from tensordyno.forge.passes import fuse_convolutions
from tensordyno.forge.selection import select
from tensordyno.forge.weights import Weights
from tensordyno.vocabulary import Precision

GPU = Device(torch=CPU.torch, name="NVIDIA Made-up", target=Target())
RIGHT, WRONG = 7, 90


@triton.jit
def fill_kernel(output, elements, VALUE: tl.constexpr, US: tl.constexpr):
    """output = VALUE, flat."""
    place = tl.program_id(0) * 1024 + tl.arange(0, 1024)
    tl.store(output + place, VALUE, mask=place < elements)


class Fill(Kernel):
    """A choice is (microseconds, what it fills its output with)."""

    def __init__(self, name, kinds, choices):
        self.name, self.kinds, self.given = name, kinds, choices

    def takes(self, operation, target):
        return isinstance(operation.node, self.kinds)

    def choices(self, operation, batch_size, target):
        return self.given(batch_size)

    def weights(self, operation):
        return {}

    def launch(self, operation, choice, batch_size, tensors, weights, target, scratch=None):
        us, value = choice
        elements = batch_size * operation.output.pixels * operation.output.pitch
        return Launch(
            function=fill_kernel,
            grid=(triton.cdiv(elements, 1024),),
            arguments={"output": tensors(operation.output), "elements": elements},
            constants={"VALUE": value, "US": us},
        )


def launch_us(launch):
    return launch.constants["US"] + sum(map(launch_us, launch.before))


@pytest.fixture
def gpu(monkeypatch):
    """Lists of the microseconds of what was compiled and of what was timed."""
    compiled, timed = [], []

    def compile_all(jobs, target, on_progress):
        compiled.extend(unpacked(job).constants["US"] for job in jobs)
        return {}

    def gpu_us(runs, hopeless_us=None):
        for run in runs:
            run()
        timed.append(launch_us(runs[0].__self__))
        return float(timed[-1])

    monkeypatch.setattr(selection, "compile_all", compile_all)
    monkeypatch.setattr(trials, "gpu_us", gpu_us)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    return compiled, timed


def program(*patterns):
    net, logits = network(*patterns)
    return lower(fuse_convolutions.run(net.graph(logits)), Precision.INT8)


def selected(monkeypatch, program, whole, *, part=((30, RIGHT), (20, RIGHT)), sizes=(2,), cache=None):
    """`whole` and `part`: choices of the kernels for fused and for plain convolutions, by batch size."""
    by_size = (each if callable(each) else lambda size, each=each: each for each in (whole, part))
    kernels = (
        Fill("whole", Fused, next(by_size)),
        Fill("part", Convolution, next(by_size)),
        Fill("other", object, lambda size: ((1, 0),)),
    )
    kernels[2].takes = lambda operation, target: not isinstance(operation.node, Fused | Convolution)
    monkeypatch.setattr(catalogue, "all_kernels", lambda: kernels)
    return select(program, sizes, GPU, Weights(CPU.torch), cache)


def chosen_for_fused(found, program, size=2):
    pairs = zip(program.operations, found.choices[size], strict=True)
    return [chosen for operation, chosen in pairs if isinstance(operation.node, Fused)]


PARTS = (Chosen(kernel="part", choice=(20, RIGHT)),) * 2
IN_PARTS = Chosen(kernel="in_parts", choice=(), us=40.0, parts=PARTS)
WHOLE = Chosen(kernel="whole", choice=(35, RIGHT), us=35.0)


def test_is_one_where_that_is_faster_at_that_batch_size(monkeypatch, gpu):
    made = program("pair")
    found = selected(
        monkeypatch, made, lambda size: ((35 if size > 2 else 45, RIGHT), (60, RIGHT)), sizes=(2, 8)
    )
    assert chosen_for_fused(found, made, 2) == [IN_PARTS]
    assert chosen_for_fused(found, made, 8) == [WHOLE]
    (record,) = (each for each in found.selections if each.chosen == IN_PARTS)
    assert record.times_us == {
        f"whole[45, {RIGHT}]": 45.0,
        f"whole[60, {RIGHT}]": 60.0,
        f"in_parts(part[20, {RIGHT}], part[20, {RIGHT}])": 40.0,
    }


def test_in_parts_is_all_there_is_where_no_kernel_takes_it(monkeypatch, gpu):
    made = program("both", "shortcut")
    monkeypatch.setattr(
        Fill, "takes", lambda self, operation, _: type(operation.node) is self.kinds is Convolution
    )
    found = selected(monkeypatch, made, ())
    assert [len(each.parts) for each in chosen_for_fused(found, made)] == [3, 2]


def test_all_is_compiled_at_once_and_tried_once(monkeypatch, gpu):
    """A block's first layer looks like its last, which is a part; two blocks look alike."""
    made = program("pair", "pair")
    found = selected(monkeypatch, made, ((35, RIGHT),))
    first, second = (operation.node for operation in made.operations if isinstance(operation.node, Fused))
    narrow = [operation.node.name for operation in made.operations if isinstance(operation.node, Convolution)]
    assert [(each.nodes, each.chosen.kernel) for each in found.selections[:3]] == [
        ((narrow[0], first.parts[1].name, narrow[1]), "part"),
        ((first.parts[0].name,), "part"),
        ((first.name, second.name), "whole"),
    ]
    compiled, timed = gpu
    assert sorted(us for us in compiled if us > 1) == [20, 20, 30, 30, 35]
    assert sorted(us for us in timed if us > 1) == [*[20] * 4, *[30] * 4, 35, 35, 40, 40]  # and the finals


def test_parts_are_believed_against_any_number_of_kernels(monkeypatch, gpu):
    made = program("pair")
    whole = tuple((us, WRONG) for us in (10, 11, 12, 13))
    found = selected(monkeypatch, made, whole)
    assert chosen_for_fused(found, made) == [IN_PARTS]
    (record,) = (each for each in found.selections if each.failures)
    assert len(record.failures) == 4


def test_choices_are_kept(monkeypatch, gpu, tmp_path):
    made = program("pair", "both")
    first = selected(monkeypatch, made, ((50, RIGHT),), cache=tmp_path)
    assert {len(each.parts) for each in chosen_for_fused(first, made)} == {2, 0}
    for times in gpu:
        times.clear()
    again = selected(monkeypatch, made, ((50, RIGHT),), cache=tmp_path)
    assert again.choices == first.choices and gpu == ([], [])
    assert all(each.kept for each in again.selections)


def test_a_kept_choice_whose_parts_are_no_candidates_is_made_anew(monkeypatch, gpu, tmp_path):
    made = program("pair")
    selected(monkeypatch, made, ((50, RIGHT),), cache=tmp_path)
    found = selected(monkeypatch, made, ((50, RIGHT),), part=((22, RIGHT),), cache=tmp_path)
    (chosen,) = chosen_for_fused(found, made)
    assert [part.choice for part in chosen.parts] == [(22, RIGHT)] * 2 and chosen.us == 44.0


def test_only_the_chosen_kernels_weights_stay(monkeypatch, gpu):
    kept = []
    monkeypatch.setattr(Weights, "keep_only", lambda self, used: kept.extend(used))
    made = program("pair")
    selected(monkeypatch, made, ((50, RIGHT),))
    (node,) = (operation.node for operation in made.operations if isinstance(operation.node, Fused))
    kept_for = {id(operation.node) for _, operation in kept}
    assert {id(part) for part in node.parts} <= kept_for and id(node) not in kept_for
