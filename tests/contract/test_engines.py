"""Every engine of the catalogue keeps the contract of engines/base.py."""

import os
import shutil
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from tensordyno.analysis.verification import wrong_arithmetic
from tensordyno.clock import RealClock
from tensordyno.engines.base import ENGINES, Engine, EngineSetup, Step, engine_class
from tensordyno.errors import Unsupported
from tensordyno.models.base import PreparedModel
from tensordyno.quantize.base import QuantizedModel
from tensordyno.vocabulary import Boundary, Precision

tiny_network = pytest.importorskip("tiny_network", reason="needs PyTorch")

THREADS = 2
BATCHES = (1, 3)
LAYERS = 3  # with weights
LOWEST_SQNR_DB = {Precision.FP32: 80.0, Precision.BF16: 25.0, Precision.INT8: 20.0}

# engine, options; the second way of an engine is one that changes its steps
WAYS = [(name, {}) for name in ENGINES.names()] + [
    ("null", {"depth": 2}),
    ("openvino", {"hint": "throughput", "streams": 2}),
    ("torch", {"layout": "contiguous"}),
    ("torch", {"layout": "channels-last"}),
    ("torch-compile", {"freezing": False, "layout": "contiguous"}),
]


@dataclass
class Build:
    engine: Engine
    precision: Precision
    batch_size: int
    images: np.ndarray
    expected: np.ndarray


def way_id(way) -> str:
    name, options = way
    return "-".join([name, *(f"{k}={v}" for k, v in options.items())])


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> PreparedModel:
    return tiny_network.prepared_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def quantized(model, tmp_path_factory) -> QuantizedModel:
    qdq_network = pytest.importorskip("qdq_network", reason="needs ONNX Runtime")
    with np.load(model.reference) as reference:
        return qdq_network.quantized(model, tmp_path_factory.mktemp("qdq"), reference["images"])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One for all engines, as in a run; what they leave in the environment is taken back."""
    before = dict(os.environ)
    yield tmp_path_factory.mktemp("cache")
    os.environ.clear()
    os.environ.update(before)


def make(name, options, precision, batch_size, cache) -> Engine:
    member = engine_class(name)
    setup = EngineSetup(
        precision=precision,
        batch_size=batch_size,
        device="cpu",
        threads=THREADS,
        seed=5,
        clock=RealClock(),
        cache=cache,
    )
    return member(setup, member.Options(**options))


@pytest.fixture(scope="module", params=WAYS, ids=way_id)
def way(request):
    name, _ = request.param
    if not engine_class(name).precisions.get("cpu"):  # tests/gpu has its own
        pytest.skip(engine_class(name).refusal("cpu", Precision.FP32))
    for package in engine_class(name).packages:
        pytest.importorskip(package)
    if name == "torch-compile" and shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("inductor needs a C++ compiler")
    return request.param


BUILDS = [(Precision.FP32, 1), (Precision.FP32, 3), (Precision.BF16, 3), (Precision.INT8, 3)]


@pytest.fixture(scope="module", params=BUILDS, ids=lambda build: f"{build[0]}-{build[1]}")
def build(request, way, model, cache):
    name, options = way
    precision, batch_size = request.param
    refusal = engine_class(name).refusal("cpu", precision)
    if refusal:
        pytest.skip(refusal)
    engine = make(name, options, precision, batch_size, cache)
    try:
        engine.receipt()
    except Unsupported as reason:
        pytest.skip(str(reason))
    with np.load(model.reference) as reference:
        images, expected = reference["images"][:batch_size], reference["logits"][:batch_size]
    engine.load(model if precision is not Precision.INT8 else as_qdq(request, engine, model))
    engine.compile(images)
    yield Build(engine, precision, batch_size, images, expected)
    engine.close()


def as_qdq(request, engine, model) -> PreparedModel:
    """What the worker hands to an engine for INT8."""
    files = request.getfixturevalue("quantized")
    return msgspec.structs.replace(model, onnx=files.onnx(engine.activations))


def sqnr_db(answer, expected) -> float:
    noise = np.sum(np.square(answer - expected))
    return float("inf") if noise == 0 else 10 * np.log10(np.sum(np.square(expected)) / noise)


def drive(step: Step, batches: int) -> None:
    """As the timed loop does: `depth` in flight, the oldest finished first."""
    if step.depth == 1:
        for _ in range(batches):
            step.run()
        return
    flying = [step.start() for _ in range(step.depth)]
    for _ in range(batches):
        step.finish(flying.pop(0))
        flying.append(step.start())
    for handle in flying:
        step.finish(handle)


def test_the_receipt_is_complete(way, cache):
    engine = make(*way, Precision.FP32, 1, cache)
    receipt = engine.receipt()
    assert receipt.engine == way[0]
    assert receipt.version and receipt.version[0].isdigit()
    assert receipt.device and receipt.device != "cpu"
    assert receipt.provider
    assert receipt.threads == THREADS
    assert receipt.build_flags and "\n" not in receipt.build_flags


def test_a_receipt_can_be_asked_for_twice_in_one_process(way, cache):
    first = make(*way, Precision.FP32, 1, cache).receipt()
    assert make(*way, Precision.FP32, 1, cache).receipt() == first


@pytest.mark.parametrize("boundary", Boundary)
def test_agrees_with_the_reference(build, boundary):
    step = build.engine.bind(build.images, boundary)
    step.run()
    answer = step.output()
    assert answer.shape == (build.batch_size, tiny_network.CLASSES)
    assert answer.dtype == np.float32
    agreement_db = sqnr_db(answer, build.expected)
    assert agreement_db > LOWEST_SQNR_DB[build.precision]
    if build.precision is not Precision.FP32:  # really reduced, not float32 under another label
        assert agreement_db < LOWEST_SQNR_DB[Precision.FP32]


@pytest.mark.parametrize("boundary", Boundary)
def test_repeats_itself_and_leaves_its_input_alone(build, boundary):
    images = build.images.copy()
    images.flags.writeable = False
    step = build.engine.bind(images, boundary)
    step.run()
    first = step.output()
    drive(step, 5)
    np.testing.assert_array_equal(step.output(), first)
    np.testing.assert_array_equal(images, build.images)


@pytest.mark.parametrize("boundary", Boundary)
def test_the_build_alone_says_how_large_a_batch_is(build, boundary):
    """One image fills the batch; of more than a batch the first are taken."""
    size = build.batch_size
    for images in (build.images[:1], np.repeat(build.images, 2, axis=0)):
        step = build.engine.bind(images, boundary)
        step.run()
        expected = np.resize(build.expected[:1], (size, tiny_network.CLASSES))
        if len(images) > 1:
            expected = np.repeat(build.expected, 2, axis=0)[:size]
        assert sqnr_db(step.output(), expected) > LOWEST_SQNR_DB[build.precision]


@pytest.mark.parametrize("boundary", Boundary)
def test_an_output_is_the_caller_s_own(build, boundary):
    step = build.engine.bind(build.images, boundary)
    step.run()
    kept = step.output()
    before = kept.copy()
    step.output()[:] = 0
    step.run()
    np.testing.assert_array_equal(kept, before)
    np.testing.assert_array_equal(step.output(), before)


@pytest.mark.parametrize("boundary", Boundary)
def test_steps_bound_to_different_images_do_not_mix(build, boundary):
    other = np.random.default_rng(11).standard_normal(build.images.shape, np.float32)
    first, second = build.engine.bind(build.images, boundary), build.engine.bind(other, boundary)
    first.run()
    second.run()
    assert not np.allclose(first.output(), second.output())
    kept = second.output()
    drive(first, 3)
    assert sqnr_db(first.output(), build.expected) > LOWEST_SQNR_DB[build.precision]
    np.testing.assert_array_equal(second.output(), kept)


@pytest.mark.parametrize("boundary", Boundary)
def test_batches_in_flight_give_the_same_answer(build, boundary):
    step = build.engine.bind(build.images, boundary)
    step.run()
    alone = step.output()
    if step.depth == 1:
        with pytest.raises(TypeError, match="one batch in flight"):
            step.start()
        return
    drive(step, 2 * step.depth)
    np.testing.assert_array_equal(step.output(), alone)


def test_an_int8_build_proves_its_layers_or_cannot_count(build):
    layers = build.engine.arithmetic()
    assert all(isinstance(count, int) and count >= 0 for count in layers.values())
    assert sum(layers.values()) in (0, LAYERS)
    if build.precision is Precision.INT8:
        assert wrong_arithmetic(layers, LAYERS) == ""
    else:
        assert not layers.get("int8")


@pytest.mark.parametrize("name", [n for n in ENGINES.names() if n != "null"])  # which cannot count
def test_the_float32_file_in_place_of_the_q_dq_file_is_not_called_int8(name, model, cache):
    member = engine_class(name)
    if member.refusal("cpu", Precision.INT8):
        pytest.skip(member.refusal("cpu", Precision.INT8))
    for package in member.packages:
        pytest.importorskip(package)
    engine = make(name, {}, Precision.INT8, 1, cache)
    engine.receipt()
    engine.load(model)
    with np.load(model.reference) as reference:
        engine.compile(reference["images"][:1])
    assert "of 3 INT8 layers run in INT8" in wrong_arithmetic(engine.arithmetic(), LAYERS)
    engine.close()


def test_choices_are_texts(build):
    choices = build.engine.choices()
    assert all(isinstance(k, str) and isinstance(v, str) and v for k, v in choices.items())


@pytest.mark.parametrize("name", ENGINES.names())
def test_every_precision_is_claimed_or_refused_with_a_reason(name):
    member = engine_class(name)
    assert member.name == name and member.summary
    for kind in ("cpu", "cuda"):
        for precision in Precision:
            claimed = precision in member.precisions.get(kind, ())
            assert (member.refusal(kind, precision) is None) == claimed
    assert "tpu" in (member.refusal("tpu", Precision.FP32) or "")


@pytest.mark.parametrize("name", ENGINES.names())
def test_options_reject_what_they_do_not_know(name):
    with pytest.raises(TypeError):
        engine_class(name).Options(no_such_option=1)
