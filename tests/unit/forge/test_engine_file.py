import os
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from forge_equality import same
from forge_graphs import networks
from forge_kernels import CPU, relu_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.errors import DataError
from tensordyno.forge.choices import Chosen
from tensordyno.forge.devices import Device
from tensordyno.forge.engine_file import EngineRecord, check_maker, maker_of, read_engine, write_engine
from tensordyno.forge.kernels.base import Target
from tensordyno.vocabulary import Precision

CHOICES = {1: (Chosen(kernel="a", choice=(1, 2)),), 32: (Chosen(kernel="b", choice=(), us=0.5),)}
KERNELS = {"00ff": {"k.json": b"{}", "k.cubin": bytes(range(100))}, "01": {"empty": b""}}


def record(graph=None, **changed):
    facts = {"maker": maker_of(CPU), "precision": Precision.INT8, "choices": CHOICES, "kernels": KERNELS}
    return EngineRecord(graph=graph or relu_graph(), **{**facts, **changed})


@settings(max_examples=15)
@given(networks(quantized=True), st.sampled_from(list(Precision)))
def test_what_is_written_is_read(tmp_path_factory, drawn, precision):
    path = tmp_path_factory.mktemp("engines") / "file.engine"
    written = record(drawn[0], precision=precision)
    write_engine(written, path)
    found = read_engine(path)
    same(found.graph, written.graph)
    assert replace(found, graph=written.graph) == written


def test_two_writings_are_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_engine(record(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.fixture
def path(tmp_path):
    graph = replace(relu_graph(), nodes=(), output="images")
    found = tmp_path / "net.engine"
    write_engine(record(graph, kernels={"00": {"k.cubin": bytes(range(64))}}), found)
    return found


def refusal(path):
    with pytest.raises(DataError) as caught:
        read_engine(path)
    assert "\n" not in caught.value.line() and str(path) in caught.value.sentence
    assert caught.value.slug == "bad-engine-file"
    return caught.value.sentence


def test_every_damaged_byte_is_noticed(path):
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        refusal(path)


@pytest.mark.parametrize("length", [0, 5, 20, 60, 200, -1])
def test_a_cut_file_is_noticed(path, length):
    path.write_bytes(path.read_bytes()[:length])
    refusal(path)


def test_a_longer_file_is_noticed(path):
    path.write_bytes(path.read_bytes() + b"x")
    assert "damaged" in refusal(path)


def test_says_what_is_wrong(path, tmp_path):
    assert "cannot be read: No such file" in refusal(tmp_path / "none.engine")
    assert "cannot be read: Is a directory" in refusal(tmp_path)
    path.write_bytes(b"PK\3\4 something else")
    assert "is no engine of forge" in refusal(path)


def test_a_later_layout(path):
    content = path.read_bytes()
    path.write_bytes(content[:8] + b"\x09" + content[9:])
    assert "has layout 9, and this forge reads layout 1" in refusal(path)


def rewritten(path, change):
    """The file with another header, its hash right."""
    import hashlib

    from tensordyno.forge.engine_file import _PREFIX

    content = path.read_bytes()
    magic, layout, length, _ = _PREFIX.unpack(content[: _PREFIX.size])
    header = msgspec.json.decode(content[_PREFIX.size : _PREFIX.size + length])
    change(header)
    text = msgspec.json.encode(header)
    prefix = _PREFIX.pack(magic, layout, len(text), hashlib.sha256(text).digest())
    path.write_bytes(prefix + text + content[_PREFIX.size + length :])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("precision", "int3"),
        ("choices", []),
        ("graph", {"nodes": []}),
        ("arrays", [["|O", [1], [0, 8]]]),
        ("arrays", [["<f4", [400], [0, 1600]]]),
        ("arrays", [["<f4", [3], [0, 16]]]),
    ],
)
def test_a_header_of_another_program(path, name, value):
    rewritten(path, lambda header: header.update({name: value}))
    refusal(path)


def test_arrays_are_places_in_the_file(tmp_path):
    """Weights are not copied when they are read."""
    from forge_graphs import Network

    network = Network(3, 4, 4)
    graph = network.graph(network.conv("images", 5))
    write_engine(record(graph), tmp_path / "e")
    weight = read_engine(tmp_path / "e").graph.nodes[0].weight
    assert not weight.flags.owndata and not weight.flags.writeable
    assert weight.__array_interface__["data"][0] % 4 == 0
    np.testing.assert_array_equal(weight, graph.nodes[0].weight)


OTHERS = {
    "engine-of-another-gpu": Device(torch=CPU.torch, name="NVIDIA H200", target=Target()),
    "engine-of-another-version": CPU,
}


@pytest.mark.parametrize("slug", OTHERS)
def test_refuses_engines_of_others(slug, monkeypatch, tmp_path):
    written = record()
    check_maker(written, CPU, tmp_path)
    if slug.endswith("version"):
        monkeypatch.setattr("tensordyno.forge.engine_file.triton_version", lambda: "9.9")
    with pytest.raises(DataError) as caught:
        check_maker(written, OTHERS[slug], tmp_path / "x.engine")
    error = caught.value
    assert error.slug == slug and "\n" not in error.line()
    assert "dyno build MODEL --precision int8 --batch 1,32" in error.remedy and "rebuild=True" in error.remedy
    assert ("NVIDIA H200" if slug.endswith("gpu") else "Triton 9.9") in error.sentence


def test_an_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    def fails(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space"):
        write_engine(record(), tmp_path / "e")
    assert list(tmp_path.iterdir()) == []
