"""Fused operations computed by their parts' kernels, in Triton's interpreter and in whole engines."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from forge_kernels import CPU
from fused_graphs import PATTERNS, network
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno import forge
from tensordyno.forge import engine_build
from tensordyno.forge.candidates import candidate_of, candidates, is_candidate
from tensordyno.forge.choices import Chosen
from tensordyno.forge.devices import Device
from tensordyno.forge.evaluate import evaluate_all
from tensordyno.forge.graph import Fused
from tensordyno.forge.in_parts import InParts
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.lower import lower
from tensordyno.forge.parts import between_bytes, parts_of
from tensordyno.forge.passes import fuse_convolutions
from tensordyno.forge.program import Format
from tensordyno.forge.storages import Storages, allocated
from tensordyno.forge.trials import Trial, TrialGround
from tensordyno.forge.weights import Weights
from tensordyno.vocabulary import Precision


def made(pattern, precision=Precision.INT8, **settings):
    """The fused operation of a network's only block, the network, its graph and its program."""
    net, logits = network(pattern, real=precision is not Precision.INT8, **settings)
    program = lower(fuse_convolutions.run(net.graph(logits)), precision)
    (operation,) = (each for each in program.operations if isinstance(each.node, Fused))
    return operation, net, net.graph(logits), program


def run_in_parts(operation, program, tensors, batch_size=2):
    """What it makes of tensors by name, with garbage everywhere else; (n, channels, height, width)."""
    way = candidates(operation, batch_size, CPU.target)[-1]
    sizes = {name: size * batch_size for name, size in program.storages.items()}
    storages = Storages({name: allocated(size, CPU.torch).fill_(77) for name, size in sizes.items()})
    for name, view in zip(operation.node.inputs, operation.inputs, strict=True):
        images = torch.from_numpy(tensors[name].transpose(0, 2, 3, 1).copy())
        storages.images(view, batch_size).copy_(images)
    size_bytes = way.scratch_bytes(operation, batch_size)
    room = allocated(size_bytes + 256, CPU.torch).fill_(99)
    weights = Weights(CPU.torch)
    settings = {"storages": storages, "weights": weights, "device": CPU, "scratch": room}
    way.launch(operation, batch_size, **settings).run()
    assert (room[size_bytes:] == 99).all(), "it wrote behind its scratch memory"
    weights.keep_only(way.used(operation))
    assert weights.size_bytes > sum(part.weight.size for part in operation.node.parts)
    return storages.images(operation.output, batch_size).permute(0, 3, 1, 2).numpy()


@settings(max_examples=20)
@given(
    pattern=st.sampled_from(list(PATTERNS)),
    seed=st.integers(0, 99),
    width=st.sampled_from([16, 24]),
    stride=st.sampled_from([(1, 1), (2, 2)]),
)
def test_makes_what_the_reference_does(pattern, seed, width, stride):
    operation, net, graph, program = made(pattern, seed=seed, width=width, stride=stride)
    tensors = evaluate_all(graph, net.images(), Precision.FP16)
    found = run_in_parts(operation, program, tensors)
    np.testing.assert_array_equal(found, tensors[operation.node.output])


@settings(max_examples=10)
@given(pattern=st.sampled_from(list(PATTERNS)), seed=st.integers(0, 99))
def test_what_lies_between_real_parts_is_of_their_format(pattern, seed):
    """Near the reference, which adds up in another order; whole engines below compare bits."""
    operation, net, graph, program = made(pattern, Precision.FP16, seed=seed, stride=(2, 2))
    assert {part.output.format for part in parts_of(operation)} == {Format.FP16}
    tensors = evaluate_all(graph, net.images(), Precision.FP16)
    found = run_in_parts(operation, program, tensors)
    np.testing.assert_allclose(found, tensors[operation.node.output], rtol=2**-8, atol=2**-7)


def test_parts_are_launched_in_their_order_and_what_lies_between_is_aligned():
    operation, _, _, program = made("both", size=(5, 3))
    way = candidates(operation, 3, CPU.target)[-1]
    storages = Storages({name: allocated(3 * size, CPU.torch) for name, size in program.storages.items()})
    scratch = allocated(way.scratch_bytes(operation, 3), CPU.torch)
    settings = {"storages": storages, "weights": Weights(CPU.torch), "device": CPU, "scratch": scratch}
    launch = way.launch(operation, 3, **settings)
    chain = (*launch.before, launch)
    inner = {
        value.data_ptr() - scratch.data_ptr()
        for each in chain
        for value in each.arguments.values()
        if isinstance(value, torch.Tensor)
        if scratch.data_ptr() <= value.data_ptr() < scratch.data_ptr() + scratch.numel()
    }
    assert len(chain) == 3 and inner == {0, 768}  # 3 images of 15 pixels of 16 bytes are 720


def test_nothing_is_compiled_but_what_its_parts_are_compiled_from():
    operation, _, _, program = made("both", size=(5, 3))
    device = Device(torch=CPU.torch, name="", target=Target())
    sizes = {**program.storages, **between_bytes(operation)}
    ground = TrialGround(sizes, device, Weights(CPU.torch))

    def jobs(operation):
        way = candidates(operation, 3, device.target)[-1:]
        return {job for found in ground.jobs(Trial(operation, 3, way)).values() for job in found}

    likeliest = [candidates(part, 3, device.target)[:1] for part in parts_of(operation)]
    trials = map(Trial, parts_of(operation), (3, 3, 3), likeliest)
    assert jobs(operation) == {
        job for each in trials for found in ground.jobs(each).values() for job in found
    }


def test_it_is_the_last_candidate_and_survives_being_kept():
    operation, *_ = made("pair")
    (way,) = candidates(operation, 2, CPU.target)
    assert isinstance(way, InParts) and str(way).startswith("in_parts(")
    chosen = way.chosen(3.5)
    assert chosen.us == 3.5 and [part.kernel for part in chosen.parts] == ["convolution"] * 2
    assert candidate_of(chosen) == way
    assert is_candidate(chosen, operation, 2, CPU.target)
    other = replace_part(chosen, choice=(1, 2, 3))
    assert not is_candidate(other, operation, 2, CPU.target)
    fewer = Chosen(kernel="in_parts", choice=(), parts=chosen.parts[:1])
    assert not is_candidate(fewer, operation, 2, CPU.target)
    alone = replace(operation, node=operation.node.parts[0])
    assert not is_candidate(chosen, alone, 2, CPU.target)


def replace_part(chosen, **changed):
    """The choice with another first part."""
    first, *others = chosen.parts
    parts = (Chosen(kernel=first.kernel, **changed), *others)
    return Chosen(kernel=chosen.kernel, choice=(), parts=parts)


@pytest.fixture
def everything_fused(monkeypatch):
    """As on a device whose kernels take every pattern."""
    monkeypatch.setattr(
        engine_build, "fused_for", lambda graph, precision, target: fuse_convolutions.run(graph)
    )


def test_an_engine_of_fused_operations_answers_alike_and_comes_back_from_its_file(
    monkeypatch, request, tmp_path
):
    net, logits = network("both", "pair", "shortcut", stride=(2, 2), size=(12, 9))
    graph, images = net.graph(logits), net.images(4)
    expected = forge.build(graph, "int8", (1, 3), "cpu")(images)
    request.getfixturevalue("everything_fused")
    engine = forge.build(graph, "int8", (1, 3), "cpu")
    choices = engine.executable(3).choices
    assert [len(each.parts) for each in choices if each.kernel == "in_parts"] == [3, 2, 2]
    assert torch.equal(engine(images), expected)
    engine.save(tmp_path / "fused.engine")
    loaded = forge.load(tmp_path / "fused.engine", "cpu")
    assert loaded.executable(3).choices == choices
    assert torch.equal(loaded(images), expected)
    loaded.save(tmp_path / "again.engine")
    assert (tmp_path / "again.engine").read_bytes() == (tmp_path / "fused.engine").read_bytes()


@pytest.mark.parametrize("precision", ["fp16", "bf16", "fp32"])
def test_an_engine_of_real_fused_operations_answers_alike(request, precision):
    net, logits = network("both", "pair", "shortcut", stride=(2, 2), size=(12, 9), real=True)
    graph, images = net.graph(logits), net.images(3)
    expected = forge.build(graph, precision, (3,), "cpu")(images)
    request.getfixturevalue("everything_fused")
    engine = forge.build(graph, precision, (3,), "cpu")
    choices = engine.executable(3).choices
    assert [len(each.parts) for each in choices if each.kernel == "in_parts"] == [3, 2, 2]
    assert torch.equal(engine(images), expected)
