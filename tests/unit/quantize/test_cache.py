import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensordyno.datasets.base import DataRequest, open_dataset
from tensordyno.quantize import cache
from tensordyno.quantize.cache import graph_key, histograms, key_of, quantized
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.observe import observe

WEIGHTS = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
PIXELS = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
TENSORS = ["images", "logits"]


def graph(weights=WEIGHTS):
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def data_hash(path, pixels):
    np.savez(path, x=pixels)
    return open_dataset(DataRequest(name=str(path))).content_hash()


class Observer:
    """Runs the network and counts how often, and how many images were taken from the iterator."""

    def __init__(self, model=None, pixels=PIXELS):
        self.model = model or graph()
        self.pixels = pixels
        self.asked = []
        self.images = 0

    def batches(self):
        for image in self.pixels:
            self.images += 1
            yield image.transpose(2, 0, 1)[None].astype(np.float32)

    def __call__(self, tensors):
        self.asked.append(tensors)
        return observe(self.model, tensors, self.batches(), 1)


def same(one, other):
    return one.keys() == other.keys() and all(
        np.array_equal(one[n].counts, other[n].counts)
        and (one[n].low, one[n].high) == (other[n].low, other[n].high)
        for n in one
    )


def test_a_second_call_runs_no_image(tmp_path):
    first, second = Observer(), Observer()
    found, reused = histograms(tmp_path, "k", TENSORS, first)
    assert (reused, first.images) == (False, len(PIXELS))
    again, reused = histograms(tmp_path, "k", TENSORS, second)
    assert (reused, second.asked, second.images) == (True, [], 0)
    assert same(found, again)


def test_fewer_tensors_are_there_already_and_only_new_ones_are_observed(tmp_path):
    histograms(tmp_path, "k", ["logits"], Observer())
    more, fewer = Observer(), Observer()
    found, reused = histograms(tmp_path, "k", ["images", "logits"], more)
    assert (reused, more.asked) == (False, [["images"]])
    assert list(found) == ["images", "logits"]
    found, reused = histograms(tmp_path, "k", ["images"], fewer)
    assert (reused, fewer.asked, list(found)) == (True, [], ["images"])


def test_names_of_tensors_may_be_anything(tmp_path):
    names = ["a/b:0", "", "ein Täuschwort", "1.counts", "names"]

    def count(tensors):
        found = {}
        for value, name in enumerate(tensors):
            found[name] = Histogram()
            found[name].add(np.array([value + 1.0], np.float32))
        return found

    made, _ = histograms(tmp_path, "k", names, count)
    again, reused = histograms(tmp_path, "k", names, count)
    assert reused
    assert same(made, again)
    assert [again[name].high for name in names] == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("left", [0, 10, 0.5, -1])
def test_a_truncated_file_is_made_anew(tmp_path, left):
    made, _ = histograms(tmp_path, "k", TENSORS, Observer())
    (file,) = tmp_path.glob("calibration/*/histograms.npz")
    content = file.read_bytes()
    file.write_bytes(content[: int(left * len(content)) if 0 < left < 1 else left])
    again, reused = histograms(tmp_path, "k", TENSORS, Observer())
    assert not reused
    assert same(made, again)
    assert histograms(tmp_path, "k", TENSORS, Observer())[1]


def test_a_whole_file_that_holds_no_histograms_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_write", lambda folder, found: (folder / "histograms.npz").write_bytes(b"PK"))
    histograms(tmp_path, "k", TENSORS, Observer())
    monkeypatch.undo()
    found, reused = histograms(tmp_path, "k", TENSORS, Observer())
    assert not reused
    assert found["images"].total == PIXELS.size


def test_one_changed_pixel_or_weight_is_another_calibration(tmp_path):
    pixels, weights = PIXELS.copy(), WEIGHTS.copy()
    pixels[5, 7, 7, 2] ^= 1
    weights[3, 2, 2, 2] = np.nextafter(weights[3, 2, 2, 2], np.float32(9))
    hashes = [data_hash(tmp_path / f"{n}.npz", p) for n, p in enumerate((PIXELS, PIXELS, pixels))]
    runs = []
    for of_graph, of_data in (
        (graph(), hashes[0]),
        (graph(), hashes[1]),  # the same once more, read from another file
        (graph(), hashes[2]),
        (graph(weights), hashes[0]),
    ):
        observer = Observer(of_graph)
        histograms(tmp_path, key_of(graph_key(of_graph), of_data), TENSORS, observer)
        runs.append(observer.images)
    assert runs == [6, 0, 6, 6]


def test_results_are_written_once(tmp_path):
    def write(folder):
        made.append(folder)
        (folder / "table.json").write_text("{}")

    made = []
    folder, reused = quantized(tmp_path, "k", write)
    assert ((folder / "table.json").read_text(), reused) == ("{}", False)
    assert quantized(tmp_path, "k", write) == (folder, True)
    (folder / "table.json").write_text("{")
    assert quantized(tmp_path, "k", write) == (folder, False)
    other, _ = quantized(tmp_path, "another", write)
    assert other != folder
    assert len(made) == 3


def test_another_version_of_this_package_computes_anew(tmp_path, monkeypatch):
    histograms(tmp_path, "k", TENSORS, Observer())
    monkeypatch.setattr(cache, "_maker", lambda: "another version")
    assert not histograms(tmp_path, "k", TENSORS, Observer())[1]


def test_keys_tell_where_a_part_ends():
    assert key_of("ab", "c") != key_of("a", "bc") != key_of("abc")
    assert key_of("ab", "c") == key_of("ab", "c")
    assert len(key_of()) == 16
