"""Forge as an engine, as far as a machine without a GPU can tell."""

import msgspec
import numpy as np
import pytest

from tensordyno.analysis.verification import wrong_arithmetic
from tensordyno.engines.base import engine_class
from tensordyno.engines.forge import Forge, ForgeOptions
from tensordyno.errors import DataError, Unsupported
from tensordyno.quantize.base import Form
from tensordyno.records.build import Receipt
from tensordyno.vocabulary import Precision

LAYERS = 3  # with weights, of the tiny network
REAL = [Precision.FP16, Precision.BF16, Precision.TF32, Precision.FP32]


@pytest.mark.parametrize("precision", Precision)
def test_a_cpu_is_refused_with_the_reason(make_engine, precision):
    assert engine_class("forge").refusal("cpu", precision) == "forge compiles for NVIDIA GPUs"
    with pytest.raises(Unsupported, match="forge compiles for NVIDIA GPUs"):
        make_engine("forge", precision).receipt()


@pytest.mark.parametrize("precision", [Precision.INT8, *REAL])
def test_it_claims_on_gpus_what_it_has_kernels_for(precision):
    assert engine_class("forge").refusal("cuda", precision) is None


def test_it_has_no_fp8():
    assert engine_class("forge").refusal("cuda", Precision.FP8) == "forge has no fp8 kernels"


def test_without_triton_the_remedy_names_the_extra(make_engine, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(Exception, match="'triton'") as missing:
        make_engine("forge", device="cuda:0").receipt()
    assert "tensordyno[forge]" in missing.value.remedy


def test_without_a_gpu_there_is_no_receipt(make_engine):
    torch = pytest.importorskip("torch")
    pytest.importorskip("triton")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(Unsupported, match="sees no CUDA device here"):
        make_engine("forge", Precision.INT8, device="cuda:0").receipt()


def test_its_receipt_tells_whose_compiler_and_framework_run():
    pytest.importorskip("triton")
    from tensordyno.engines.forge import _as_forge

    libraries = {"CUDA": "13.0", "cuDNN": "9", "oneDNN": "3"}
    told = Receipt(
        engine="forge", version="2.11.0", device="NVIDIA H200", provider="CUDA", libraries=libraries
    )
    mine = _as_forge(told)
    assert (mine.engine, mine.device, mine.provider) == ("forge", "NVIDIA H200", "CUDA")
    assert mine.version[0].isdigit() and mine.version != told.version
    assert mine.libraries["PyTorch"] == "2.11.0" and mine.libraries["Triton"][0].isdigit()
    assert mine.libraries.keys() == {"PyTorch", "Triton", "CUDA"}


def test_an_older_gpu_is_refused_by_its_own_name(monkeypatch):
    pytest.importorskip("triton")
    from tensordyno.engines import forge as module
    from tensordyno.forge import devices
    from tensordyno.forge.kernels.base import Target

    old = devices.Device(torch=None, name="Tesla T4", target=Target(capability=(7, 5)))
    monkeypatch.setattr(devices, "open_device", lambda name: old)
    with pytest.raises(Unsupported, match=r"Tesla T4 has compute capability 7\.5, .* need 8\.0"):
        module._opened("cuda:0")


@pytest.mark.parametrize(
    "wrong", [{"queue": -1}, {"queue": 65}, {"cuda_graph": "no"}, {"search": 2}, {"layout": "auto"}]
)
def test_options_are_bounded(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, ForgeOptions)


@pytest.fixture
def loaded(make_engine, tiny):
    """A function that makes an engine for a GPU with a network read and laid out, which needs none."""
    pytest.importorskip("triton")
    from tensordyno.forge.devices import Device
    from tensordyno.forge.kernels.base import Target

    def load(precision, model=tiny) -> Forge:
        engine = make_engine("forge", precision, device="cuda:0")
        engine._device = Device(torch=None, name="NVIDIA H200", target=Target(capability=(9, 0)))
        engine.load(model)
        return engine

    return load


@pytest.mark.parametrize("precision", REAL)
def test_layers_of_real_numbers_are_counted_in_their_own_format(loaded, precision):
    assert loaded(precision).arithmetic() == {precision.value: LAYERS}


def test_layers_of_a_q_dq_file_multiply_integers(loaded, tiny_qdq):
    engine = loaded(Precision.INT8, tiny_qdq(Forge.activations))
    assert Forge.activations is Form.INT8
    assert engine.arithmetic() == {"int8": LAYERS}


@pytest.mark.parametrize("form", Form)
def test_every_form_of_q_dq_file_multiplies_integers(loaded, tiny_qdq, form):
    assert wrong_arithmetic(loaded(Precision.INT8, tiny_qdq(form)).arithmetic(), LAYERS) == ""


def test_the_float32_file_in_place_of_the_q_dq_file_is_not_called_int8(loaded):
    with pytest.raises(Unsupported, match="no integers to multiply"):
        loaded(Precision.INT8)


def test_a_stem_with_its_pool_is_one_layer():
    random_networks = pytest.importorskip("forge_graphs")
    from tensordyno.engines.forge import _products
    from tensordyno.forge.graph import ConvolutionMaxPool, MaxPool

    network = random_networks.Network(3, 8, 8)
    network.pool(MaxPool, network.conv("images", 4))
    convolution, pool = network.nodes
    stem = ConvolutionMaxPool(
        name="stem", inputs=("images",), output=pool.output, convolution=convolution, pool=pool
    )
    assert [_products(node) for node in (convolution, pool, stem)] == [1, 0, 1]


def test_the_parts_of_a_fused_operation_are_layers():
    fused_graphs = pytest.importorskip("fused_graphs")
    from tensordyno.engines.forge import _products
    from tensordyno.forge.passes import fuse_convolutions

    net, logits = fused_graphs.network("both", "pair")
    graph = net.graph(logits)
    counts = [sum(map(_products, each.nodes)) for each in (graph, fuse_convolutions.run(graph))]
    assert counts == [7, 7]


def test_what_forge_cannot_read_is_named(loaded, tiny, tmp_path):
    helper = pytest.importorskip("onnx").helper
    onnx_classifiers = pytest.importorskip("onnx_classifiers", reason="needs ONNX Runtime")
    path = tmp_path / "waves.onnx"
    nodes = [helper.make_node("Sin", ["images"], ["made"], name="wave")]
    path.write_bytes(onnx_classifiers.classifier(nodes).SerializeToString())
    with pytest.raises(DataError, match=r"'Sin' \(node 'wave'\)"):
        loaded(Precision.FP32, msgspec.structs.replace(tiny, onnx=path))


def test_before_it_is_built_it_has_nothing_to_tell(make_engine):
    engine = make_engine("forge", device="cuda:0")
    assert engine.choices() == {} and engine.arithmetic() == {} and engine.peak_device_bytes() is None
    engine.release()
    with pytest.raises(AssertionError, match="receipt before load"):
        engine.compile(np.zeros((1, 3, 8, 8), np.float32))


def test_choices_tell_kernels_and_how_they_were_selected(loaded):
    from types import SimpleNamespace

    from tensordyno.forge.choices import Chosen

    engine = loaded(Precision.FP16)
    product, pool = (Chosen(kernel=name, choice=()) for name in ("product", "pool"))
    chosen = [product, Chosen(kernel="in_parts", choice=(), parts=(product, pool))]
    for kept, says in (((True, True), "all 2 kept, 1.50 s"), ((True, False), "1 of 2 timed, 1.50 s")):
        selections = [SimpleNamespace(kept=each) for each in kept]
        engine._selected = SimpleNamespace(choices={engine.setup.batch_size: chosen}, selections=selections)
        engine._selecting_s = 1.5
        expected = {"kernels": "product 2, pool 1", "selection": says, "CUDA graph": "yes"}
        assert engine.choices() == expected
