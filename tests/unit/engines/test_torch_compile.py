import shutil

import numpy as np
import pytest

from tensordyno.errors import Unsupported
from tensordyno.vocabulary import Boundary, Precision

torch = pytest.importorskip("torch")
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")


@pytest.fixture
def images(tiny):
    with np.load(tiny.reference) as stored:
        return stored["images"][:2]


def compiled(engine, tiny, images):
    engine.receipt()
    engine.load(tiny)
    engine.compile(images)
    return engine


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("inductor")


@needs_compiler
def test_compiles_once_says_how_and_keeps_its_kernels_in_the_cache(make_engine, tiny, images, cache):
    from torch._dynamo.utils import counters

    engine = compiled(make_engine("torch-compile", cache=cache), tiny, images)
    choices = engine.choices()
    assert choices["layout"] == "channels-last (engine's default)"
    assert choices["graphs"] == "1"
    assert choices["inductor cache"].startswith("cold: ")
    assert list((cache / "inductor").rglob("*.so"))
    for boundary in Boundary:
        for _ in range(2):
            engine.bind(images, boundary).run()
    assert counters["stats"]["unique_graphs"] == 1  # no second compilation hides in a timed batch
    engine.close()

    again = compiled(make_engine("torch-compile", cache=cache), tiny, images)
    assert again.choices()["inductor cache"].startswith("warm: ")
    again.close()


def test_no_compiler_is_a_reason(make_engine, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unsupported, match="'no-such-compiler' is not found") as refused:
        make_engine("torch-compile").receipt()
    assert "CXX" in refused.value.remedy


def test_code_that_does_not_build_is_a_reason(make_engine, tiny, images, monkeypatch, tmp_path):
    compiler = tmp_path / "broken-compiler"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    engine = make_engine("torch-compile")
    engine.receipt()
    engine.load(tiny)
    broken = torch._inductor.config.patch({"cpp.cxx": (str(compiler),)})
    with broken, pytest.raises(Unsupported, match="cannot compile this network here"):
        engine.compile(images)
    engine.close()


def test_a_network_that_dynamo_leaves_alone_is_not_called_compiled(make_engine, tiny, images):
    engine = make_engine("torch-compile")
    engine.receipt()
    engine.load(tiny)
    engine.module.forward = torch.compiler.disable(engine.module.forward)
    with pytest.raises(Unsupported, match="compiled nothing"):
        engine.compile(images)
    engine.close()


def test_only_frozen_weights_on_a_cpu_go_through_autocast(make_engine):
    def dtype(**options):
        return make_engine("torch-compile", Precision.BF16, **options).weight_dtype()

    assert dtype() is torch.float32
    assert dtype(freezing=False) is torch.bfloat16
    assert dtype(device="cuda:0") is torch.bfloat16
