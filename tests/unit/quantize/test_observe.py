import math
import weakref

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensordyno.errors import DataError
from tensordyno.models.export import export_onnx
from tensordyno.models.resolve import resolve
from tensordyno.quantize import observe as module_under_test
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.look import Seen
from tensordyno.quantize.observe import observe, piece_size, pieces
from tensordyno.quantize.placement import place
from tensordyno.quantize.sampling import WHOLE, flat_stride, grid_strides, is_planes, kept_of_grid

SIDE = 40
RNG = np.random.default_rng(0)
TENSORS = ["images", "first", "second", "sum", "rows", "mean", "logits"]


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32) / 4


def whole(*shape):
    """Small whole numbers: every sum is exact, in whatever order it is taken."""
    return RNG.integers(-2, 3, shape).astype(np.float32)


def network(make, bias=0.0):
    """Two convolutions with a residual sum (on planes), a product (on rows), a mean and a fully connected
    layer; `bias` is added before the first ReLU.
    """
    weights = {
        "w1": make(16, 3, 3, 3),
        "b1": np.full(16, bias, np.float32),
        "w2": make(16, 16, 3, 3),
        "w3": make(SIDE * SIDE, 600),
        "w4": make(16, 5),
        "shape": np.array([0, 16, SIDE * SIDE], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["first"]),
        helper.make_node("Conv", ["first", "w2"], ["second"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["second", "first"], ["sum"]),
        helper.make_node("Reshape", ["sum", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["rows"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
        helper.make_node("Gemm", ["features", "w4"], ["logits"]),
    ]
    return model_of(nodes, weights, (3, SIDE, SIDE))


def model_of(nodes, weights, shape):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def all_values(model, images, tensors=TENSORS):
    """Every tensor in full, image by image, without any of our additions."""
    full = onnx.ModelProto()
    full.CopyFrom(model)
    del full.graph.output[:]
    computed = [name for name in tensors if name != "images"]
    full.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in computed
    )
    session = onnxruntime.InferenceSession(full.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = [session.run(computed, {"images": image[None]}) for image in images]
    return dict(zip(computed, map(np.concatenate, zip(*rows, strict=True)), strict=True)) | {"images": images}


def sampled(values):
    """What is to be counted, by the definition in `sampling`."""
    shape = values.shape[1:]
    if math.prod(shape) <= WHOLE:
        return values
    if is_planes(shape):
        down, right = grid_strides(shape)
        return values[:, :, ::down, ::right].reshape(len(values), -1)[:, kept_of_grid(shape)]
    return values.reshape(len(values), -1)[:, :: flat_stride(shape)]


def batches(images, size):
    return [images[start : start + size] for start in range(0, len(images), size)]


def same(one, other):
    return all(
        np.array_equal(one[name].counts, other[name].counts)
        and (one[name].width, one[name].low, one[name].high)
        == (other[name].width, other[name].low, other[name].high)
        for name in {*one, *other}
    )


class Alive:
    """How many arrays exist at once."""

    def __init__(self):
        self._now = set()
        self.most = 0

    def watch(self, array):
        self._now.add(id(array))
        self.most = max(self.most, len(self._now))
        weakref.finalize(array, self._now.discard, id(array))
        return array


@pytest.fixture(scope="module")
def model():
    return network(random)


@pytest.fixture(scope="module")
def images():
    return random(53, 3, SIDE, SIDE)


@pytest.fixture(scope="module")
def found(model, images):
    return observe(model, TENSORS, batches(images, 25), 1)


@pytest.mark.parametrize("size", [1, 7, 53])
def test_histograms_do_not_depend_on_the_batch_size(model, images, found, size):
    assert same(observe(model, TENSORS, batches(images, size), 1), found)


def test_histograms_do_not_depend_on_the_order_of_images(model, images, found):
    shuffled = images[np.random.default_rng(3).permutation(len(images))]
    assert same(observe(model, TENSORS, batches(shuffled, 7), 1), found)


def test_histograms_do_not_depend_on_the_number_of_threads(model, images, found):
    assert same(observe(model, TENSORS, batches(images, 25), 2), found)


def test_two_parts_make_the_whole(model, images, found):
    parts = [observe(model, TENSORS, [part], 1) for part in (images[:40], images[40:])]
    assert same({name: parts[0][name].merge(parts[1][name]) for name in TENSORS}, found)


def test_one_changed_image_changes_them(model, images, found):
    changed = images.copy()
    changed[30] *= 1.5
    assert not same(observe(model, TENSORS, [changed], 1), found)


@pytest.mark.parametrize("bias", [0.0, 200.0])
def test_extremes_are_those_of_every_value_and_counts_those_of_the_sample(bias):
    """With a bias of 200 no ReLU ends at zero: its smallest value is to be found, not to be assumed."""
    model, images = network(whole, bias), whole(9, 3, SIDE, SIDE)
    found = observe(model, TENSORS, batches(images, 4), 1)
    for name, values in all_values(model, images).items():
        expected = Histogram()
        expected.cover(float(values.min()), float(values.max()))
        expected.add(sampled(values))
        assert same({name: found[name]}, {name: expected})
    assert (found["first"].low > 0) == (bias > 0)


def test_an_extreme_outside_the_sample_is_seen():
    model = model_of([helper.make_node("Neg", ["images"], ["out"])], {}, (16, SIDE, SIDE))
    images = np.zeros((3, 16, SIDE, SIDE), np.float32)
    images[1, 7, 20, 21], images[2, 3, 39, 39] = 1000.0, -3000.0
    found = observe(model, ["images", "out"], [images], 1)
    assert (found["images"].low, found["images"].high) == (-3000.0, 1000.0)
    assert (found["out"].low, found["out"].high) == (-1000.0, 3000.0)
    assert found["out"].counts[1:].sum() == 0  # the sample holds neither


def test_extremes_of_a_real_network_are_what_onnx_runtime_computes_elsewhere(tmp_path):
    resolved = resolve("resnet8_fashion")
    export_onnx(resolved.module, resolved.card, tmp_path / "model.onnx")
    model = open_graph(tmp_path / "model.onnx")
    tensors = place(model).tensors
    images = np.random.default_rng(5).standard_normal((6, 1, 28, 28)).astype(np.float32)
    found = observe(model, tensors, [images], 2)
    for tensor, values in all_values(model, images, tensors).items():
        assert found[tensor].low == pytest.approx(values.min(), rel=1e-4, abs=1e-5)
        assert found[tensor].high == pytest.approx(values.max(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("wrong", [np.inf, -np.inf])
def test_a_single_infinite_value_is_refused_and_its_tensor_named(model, wrong):
    images = random(5, 3, SIDE, SIDE)
    images[4, 1, 17, 23] = wrong
    with pytest.raises(DataError, match="images") as refused:
        observe(model, TENSORS, [images], 1)
    assert refused.value.slug == "bad-range"


def test_a_nan_is_refused_and_the_tensor_where_it_begins_named():
    broken = network(random)
    weight = next(tensor for tensor in broken.graph.initializer if tensor.name == "w2")
    weight.CopyFrom(numpy_helper.from_array(np.full((16, 16, 3, 3), np.nan, np.float32), "w2"))
    with pytest.raises(DataError, match="second") as refused:
        observe(broken, TENSORS, [random(5, 3, SIDE, SIDE)], 1)
    assert refused.value.slug == "bad-range"


def test_a_nan_that_passes_between_the_samples_is_seen_in_the_answer():
    model = model_of([helper.make_node("Neg", ["images"], ["out"])], {}, (16, SIDE, SIDE))
    images = random(5, 16, SIDE, SIDE)
    images[4, 1, 17, 23] = np.nan
    assert np.isfinite(sampled(images)).all()
    with pytest.raises(DataError, match="of out") as refused:
        observe(model, ["images"], [images], 1)
    assert refused.value.slug == "bad-range"


def test_filling_of_the_last_piece_is_not_looked_at(model):
    images = random(3, 3, SIDE, SIDE)
    found = observe(model, ["logits"], [images], 1)
    assert found["logits"].total == 3 * 5


def test_windows_of_an_image_are_parts_of_it():
    nodes = [
        helper.make_node("Reshape", ["images", "windows"], ["parts"]),
        helper.make_node("Relu", ["parts"], ["positive"]),
        helper.make_node("Reshape", ["positive", "back"], ["out"]),
    ]
    weights = {"windows": np.array([-1, 16, 100], np.int64), "back": np.array([-1, 16 * 1600], np.int64)}
    model = model_of(nodes, weights, (16, SIDE, SIDE))
    images = whole(5, 16, SIDE, SIDE)
    found = observe(model, ["parts", "out"], [images], 1)
    assert (found["parts"].low, found["parts"].high) == (images.min(), images.max())
    shape = (16, 16, 100)
    expected = Histogram()
    expected.add(images.reshape(5, -1)[:, :: flat_stride(shape)])
    assert np.array_equal(found["parts"].counts, expected.counts)


def test_a_network_that_mixes_images_is_refused():
    nodes = [
        helper.make_node("ReduceSum", ["images", "axis"], ["total"], keepdims=1),
        helper.make_node("Add", ["images", "total"], ["out"]),
    ]
    model = model_of(nodes, {"axis": np.array([0], np.int64)}, (3, 4, 4))
    with pytest.raises(DataError, match="total") as refused:
        observe(model, ["total"], [random(4, 3, 4, 4)], 1)
    assert refused.value.slug == "batch-not-first"


def test_no_images_give_empty_histograms(model):
    found = observe(model, TENSORS, iter([]), 1)
    assert list(found) == TENSORS
    assert {histogram.total for histogram in found.values()} == {0}


def test_progress_hears_of_every_image_once(model, images):
    heard = []
    observe(model, TENSORS, batches(images, 7), 1, heard.append)
    assert heard == sorted(set(heard))
    assert heard[-1] == len(images)


def test_the_graph_is_left_as_it_was(model, images):
    before = model.SerializeToString(deterministic=True)
    observe(model, TENSORS, [images[:2]], 1)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("size", [1, 4, 8, 100])
def test_pieces_are_of_one_size_and_hold_every_image_once(size):
    images = np.arange(23 * 2, dtype=np.float64).reshape(23, 2)
    arrived = []
    for piece, used in pieces([images[:3], images[3:3], images[3:20], images[20:]], size):
        assert piece.shape == (size, 2)
        assert piece.dtype == np.float32
        assert not piece[used:].any()
        arrived.append(piece[:used])
    assert np.array_equal(np.concatenate(arrived), images)
    assert [len(part) for part in arrived[:-1]] == [size] * (len(arrived) - 1)


def test_memory_holds_one_piece_and_bounded_samples(model, monkeypatch):
    """Batches are let go as soon as they have passed, and few pieces of them wait for their turn."""
    batches_alive, pieces_alive = Alive(), Alive()
    fed, waiting = [], []

    def arriving():
        for _ in range(30):
            yield batches_alive.watch(random(40, 3, SIDE, SIDE))

    def spy_pieces(arriving, size):
        for piece, used in pieces(arriving, size):
            yield pieces_alive.watch(piece), used

    def spy_run(session, outputs, piece):
        fed.append(len(piece))
        return run(session, outputs, piece)

    def spy_count(histogram, probe, samples):
        waiting.append(samples.size)
        count(histogram, probe, samples)

    run, count = module_under_test.run, module_under_test.count
    monkeypatch.setattr(module_under_test, "pieces", spy_pieces)
    monkeypatch.setattr(module_under_test, "run", spy_run)
    monkeypatch.setattr(module_under_test, "count", spy_count)
    monkeypatch.setattr(module_under_test, "_SAMPLES_AT_A_TIME", 10**5)
    found = observe(model, ["first", "logits"], arriving(), 2)
    assert found["logits"].total == 30 * 40 * 5
    assert batches_alive.most <= 3
    assert pieces_alive.most <= 6  # two run, one waits, one is done, two are being filled or passed on
    assert set(fed) == {32}
    assert max(waiting) < 10**5 + 32 * WHOLE


@pytest.mark.parametrize(
    ("shape", "images"), [((64, 112, 112), 2), ((64, 224, 224), 2), ((3, 32, 32), 32), ((64, 55, 55), 8)]
)
def test_large_tensors_go_in_small_pieces(shape, images):
    assert piece_size([Seen("t", shape, 1, floor=False), Seen("logits", (10,), 1, floor=False)]) == images
