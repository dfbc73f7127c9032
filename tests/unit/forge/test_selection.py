"""Selection as on a GPU: the interpreter computes, stopwatch and compiler are made up."""

from dataclasses import replace

import pytest
import torch
from forge_kernels import CPU, LEAVES_THE_END, RAISES, RIGHT, WRONG, Relu, relu_kernels, relu_program

from tensordyno.errors import Unsupported
from tensordyno.forge import selection, trials
from tensordyno.forge.choices import Chosen
from tensordyno.forge.compile_job import unpacked
from tensordyno.forge.devices import Device
from tensordyno.forge.graph import Clamp
from tensordyno.forge.kernels import catalogue
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.selection import select
from tensordyno.forge.weights import Weights

GPU = Device(torch=CPU.torch, name="NVIDIA Made-up", target=Target())


@pytest.fixture
def gpu(monkeypatch):
    """Lists of what was compiled and what was timed; blocks of 128 are the fastest, 32 do not compile."""
    compiled, timed = [], []

    def compile_all(jobs, target, on_progress):
        compiled.extend(unpacked(job) for job in jobs)
        on_progress(len(jobs), len(jobs))
        return {job: "too small" for job in jobs if unpacked(job).constants["BLOCK"] == 32}

    def gpu_us(runs, hopeless_us=None):
        for run in runs:
            run()
        block = runs[0].__self__.constants["BLOCK"]
        timed.append((block, hopeless_us))
        return abs(block - 128) + 10.0

    monkeypatch.setattr(selection, "compile_all", compile_all)
    monkeypatch.setattr(trials, "gpu_us", gpu_us)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    return compiled, timed


def selected(monkeypatch, *choices, sizes=(2,), program=None, **changed):
    monkeypatch.setattr(catalogue, "all_kernels", relu_kernels(*choices))
    facts = {"device": GPU, "weights": Weights(CPU.torch), **changed}
    return select(program or relu_program(), sizes, **facts)


def test_on_a_cpu_the_first_candidate_is_taken_untimed(monkeypatch):
    found = selected(monkeypatch, (64, RIGHT), (128, RIGHT), sizes=(1, 3), device=CPU)
    first = Chosen(kernel="relu", choice=(64, RIGHT))
    assert found.choices == {1: (first, first), 3: (first, first)}
    assert not any(each.kept or each.times_us for each in found.selections)


def test_the_fastest_is_taken(monkeypatch, gpu):
    told = []
    blocks = [(block, RIGHT) for block in (64, 256, 128, 512)]
    found = selected(monkeypatch, *blocks, on_progress=lambda *facts: told.append(facts))
    chosen = Chosen(kernel="relu", choice=(128, RIGHT), us=10.0)
    assert found.choices == {2: (chosen,) * 2}
    (record,) = found.selections
    assert record.nodes == ("relu0", "relu1")
    assert record.times_us == {
        "relu[64, 0]": 74.0,
        "relu[256, 0]": 138.0,
        "relu[128, 0]": 10.0,
        "relu[512, 0]": 394.0,
    }
    assert gpu[1][:4] == [(64, float("inf")), (256, 111.0), (128, 111.0), (512, 15.0)]
    assert gpu[1][4:] == [(128, None), (64, None), (256, None)]  # the final
    assert told == [("compile", 4, 4), ("time", 1, 1)]


def test_operations_that_look_alike_are_tried_once(monkeypatch, gpu):
    program = relu_program(5)
    found = selected(monkeypatch, (64, RIGHT), (128, RIGHT), sizes=(2, 5), program=program)
    assert {len(of_size) for of_size in found.choices.values()} == {5}
    nodes = tuple(f"relu{number}" for number in range(5))
    assert [(each.batch_size, each.nodes) for each in found.selections] == [(2, nodes), (5, nodes)]
    assert [block for block, _ in gpu[1]] == [64, 128, 128, 64] * 2


def test_a_clock_that_rises_does_not_decide(monkeypatch, gpu):
    """The first ones are timed too slow, the others in the final slower than the one that is not in it."""
    times = iter([90.0, 60.0, 50.0, 70.0, 80.0, 75.0, 71.0, 72.0])
    monkeypatch.setattr(trials, "gpu_us", lambda runs, hopeless_us=None: next(times))
    (record,) = selected(monkeypatch, *[(block, RIGHT) for block in (16, 64, 128, 256, 512)]).selections
    assert record.times_us == {
        "relu[16, 0]": 90.0,
        "relu[64, 0]": 71.0,
        "relu[128, 0]": 75.0,
        "relu[256, 0]": 72.0,
        "relu[512, 0]": 80.0,
    }
    assert record.chosen == Chosen(kernel="relu", choice=(64, RIGHT), us=71.0)


def test_a_lost_gpu_and_full_memory_end_the_selection(monkeypatch, gpu):
    def lost(device):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def full(self):
        raise torch.OutOfMemoryError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(torch.cuda, "synchronize", lost)
        with pytest.raises(
            RuntimeError, match=r"relu\[64, 0\] broke the GPU: RuntimeError: CUDA error: an illegal"
        ):
            selected(monkeypatch, (64, RIGHT))
    monkeypatch.setattr(trials.Bench, "poison", full)
    with pytest.raises(torch.OutOfMemoryError):
        selected(monkeypatch, (64, RIGHT))


def test_failures_are_told_and_left_out(monkeypatch, gpu, caplog):
    choices = (
        (64, RIGHT),
        (64, RAISES),
        (32, RIGHT),
        (16, LEAVES_THE_END),
        (128, WRONG),
        (256, RIGHT),
        (1, RIGHT),
    )
    found = selected(monkeypatch, *choices, program=relu_program(1))
    (record,) = found.selections
    assert record.failures == {
        "relu[64, 2]": "ValueError: no such launch",
        "relu[32, 0]": "too small",
        "relu[16, 3]": "16 of 256 numbers are wrong",
        "relu[128, 1]": "256 of 256 numbers are wrong",
    }
    assert record.chosen.choice == (64, RIGHT)
    assert set(record.times_us) == {"relu[64, 0]", "relu[256, 0]", "relu[1, 0]"}
    for candidate, reason in record.failures.items():
        assert f"relu0 in batches of 2: {candidate}: {reason}" in caplog.text


def test_a_wrong_first_candidate_is_outvoted(monkeypatch, gpu):
    found = selected(monkeypatch, (128, WRONG), (64, RIGHT), (256, RIGHT), program=relu_program(1))
    (record,) = found.selections
    assert record.chosen.choice == (64, RIGHT) and list(record.failures) == ["relu[128, 1]"]


def test_no_candidate_works(monkeypatch, gpu):
    with pytest.raises(Unsupported, match="relu0 works on this device: ValueError: no such launch"):
        selected(monkeypatch, (64, RAISES), (128, RAISES))


def test_nothing_is_compiled_where_an_operation_has_no_kernel(monkeypatch, gpu):
    program = relu_program()
    node = replace(program.operations[-1].node, name="odd one", clamp=Clamp(0.0, 6.0))
    program = replace(program, operations=(program.operations[0], replace(program.operations[1], node=node)))
    monkeypatch.setattr(Relu, "takes", lambda self, operation, target: operation.node.clamp == Clamp())
    with pytest.raises(Unsupported, match="no kernel for odd one"):
        selected(monkeypatch, program=program)
    assert gpu == ([], [])


def test_choices_are_kept(monkeypatch, gpu, tmp_path):
    first = selected(monkeypatch, (64, RIGHT), (128, RIGHT), cache=tmp_path)
    timed = len(gpu[1])
    again = selected(monkeypatch, (64, RIGHT), (128, RIGHT), cache=tmp_path, sizes=(2, 3))
    assert again.choices[2] == first.choices[2]
    assert [each.kept for each in again.selections] == [True, False]
    assert len(gpu[1]) == 2 * timed
    assert not any(each.kept for each in first.selections)


def test_a_kept_choice_that_is_no_candidate_is_made_anew(monkeypatch, gpu, tmp_path):
    selected(monkeypatch, (128, RIGHT), cache=tmp_path)
    found = selected(monkeypatch, (64, RIGHT), (256, RIGHT), cache=tmp_path)
    assert {chosen.choice for chosen in found.choices[2]} == {(64, RIGHT)}


def test_only_the_chosen_kernels_weights_stay(monkeypatch, gpu):
    kept = []
    monkeypatch.setattr(Weights, "keep_only", lambda self, used: kept.extend(used))
    program = relu_program()
    selected(monkeypatch, program=program)
    assert [operation for _, operation in kept] == list(program.operations)
    assert {kernel.name for kernel, _ in kept} == {"relu"}
