"""Receipt, build, verification and accuracy with the null engine on a network of known answers."""

from functools import partial

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from tensordyno.errors import DataError, UnknownName, UsageError, WorkerFailure
from tensordyno.models.base import PreparedModel
from tensordyno.quantize.base import Form
from tensordyno.quantize.table_file import FILE_NAME
from tensordyno.records.messages import BuildOrder, BurstOrder, FitOrder, StartOrder
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.records.trial import EngineChoice, Measurement, Trial
from tensordyno.vocabulary import Precision, Task, WeightsKind
from tensordyno.worker.build import Build

CLASSES, IMAGES = 4, 12


@pytest.fixture
def data(tmp_path):
    """Grey images whose value is their class, and a network that sees it in 9 of 12 of them."""
    labels = np.arange(IMAGES) % CLASSES
    pixels = np.repeat(labels.astype(np.uint8) * 50 + np.arange(IMAGES, dtype=np.uint8), 4)
    np.savez(tmp_path / "data.npz", images=pixels.reshape(IMAGES, 2, 2), labels=labels)
    return tmp_path / "data.npz"


@pytest.fixture
def prepared(tmp_path, data):
    """The folder of a prepared network whose reference covers all images."""

    def make(weights=WeightsKind.CHECKPOINT):
        folder = tmp_path / f"prepared-{weights}"
        folder.mkdir()
        with np.load(data) as stored:
            labels = stored["labels"]
            images = stored["images"].astype(np.float32)[:, None] / np.float32(255)
        answers = np.where(np.arange(IMAGES) < 9, labels, (labels + 1) % CLASSES)
        logits = (np.eye(CLASSES)[answers] + 0.1 * np.arange(CLASSES)).astype(np.float32)
        np.savez(folder / "reference.npz", images=(images - 0.5) / np.float32(0.5), logits=logits)
        facts = ModelFacts(
            name="m",
            input_shape=(1, 2, 2),
            classes=CLASSES,
            parameters=1,
            macs=1,
            weights=weights,
            weights_hash="h",
            preprocessing=Preprocessing(mean=(0.5,), std=(0.5,), channels="grey"),
        )
        (folder / "facts.json").write_bytes(msgspec.json.encode(facts))
        (folder / "model.onnx").write_bytes(b"12345")
        return folder

    return make


def trial(data, **changes):
    whole = Trial(
        id="t",
        model="m",
        engine=EngineChoice(name="null", options={"cost_s": 0.5, "load_s": 2, "compile_s": 7}),
        precision=Precision.FP32,
        batch_size=5,
        dataset=str(data),
        measurement=Measurement(clock="fake", min_seconds=1),
    )
    return replace(whole, **changes)


def build(folder, asked, quantized=""):
    """A started build whose `built` needs no order."""
    made = Build(StartOrder(trial=asked, folder=str(folder)))
    order = BuildOrder(trial=asked, folder=str(folder), quantized=quantized and str(folder / quantized))
    made.built = partial(made.built, order)
    return made


def test_times_are_kept_apart(prepared, data):
    made = build(prepared(), trial(data))
    ready = made.ready()
    assert ready.receipt.engine == "null" and ready.process.threads >= 1
    report = made.built()
    built = report.built
    assert (built.import_s, built.load_s, built.compile_s, built.first_inference_s) == (0, 2, 7, 0.5)
    assert built.time_to_first_inference_s == 9.5
    assert built.size_bytes == 5 and built.peak_rss_bytes > 1e6
    names = ["import", "load", "compile", "first inference", "verify", "accuracy"]
    assert [phase.name for phase in report.phases] == names
    assert all(a.stop_s <= b.start_s for a, b in zip(report.phases, report.phases[1:], strict=False))


def test_right_answers_are_counted_whatever_the_batch_size(prepared, data):
    folder = prepared()
    for batch_size in (1, 5, 64):
        made = build(folder, trial(data, batch_size=batch_size))
        made.ready()
        told = []
        report = made.built(told.append)
        assert report.verification.passed and report.verification.images >= IMAGES
        accuracy = report.accuracy
        assert accuracy is not None
        assert (accuracy.images, accuracy.top1_correct, accuracy.top5_correct) == (12, 9, 12)
        answers = np.frombuffer(report.answers, "<i4").reshape(-1, 3)
        np.testing.assert_array_equal(answers[:, 0], np.arange(IMAGES) % CLASSES)
        assert (answers[:, 0] == answers[:, 1]).sum() == (answers[:, 2] == 0).sum() == 9
        assert (told[-1].doing, told[-1].done) == ("counting right answers", IMAGES)


@pytest.mark.parametrize("images", [0, 7])
def test_no_more_labelled_images_are_used_than_asked(prepared, data, images):
    made = build(prepared(), trial(data, accuracy_images=images))
    made.ready()
    accuracy = made.built().accuracy
    assert (accuracy.images if accuracy else 0) == images


def test_random_weights_are_not_asked_for_right_answers(prepared, data):
    made = build(prepared(WeightsKind.RANDOM), trial(data))
    made.ready()
    report = made.built()
    assert report.accuracy is None and "accuracy" not in [p.name for p in report.phases]
    assert report.answers == b""


def test_unlabelled_images_have_no_accuracy(prepared, data):
    made = build(prepared(), trial(data, dataset="synthetic"))
    made.ready()
    assert made.built().accuracy is None


def test_wrong_answers_are_neither_counted_nor_measured(prepared, data):
    options = {"error": 0.5}
    made = build(prepared(), trial(data, engine=EngineChoice(name="null", options=options)))
    made.ready()
    report = made.built()
    assert not report.verification.passed and report.accuracy is None
    assert made.scenario is None
    made.close()


def test_a_build_that_stands_can_be_measured(prepared, data):
    made = build(prepared(), trial(data))
    made.ready()
    made.built()
    burst = made.scenario.burst(BurstOrder())
    assert burst.burst.images == 5 * len(burst.latencies_s)
    assert set(burst.latencies_s) == {0.5}
    made.close()


def test_right_answers_alone_need_no_stopwatch(prepared, data):
    made = build(prepared(), trial(data, task=Task.ACCURACY))
    made.ready()
    report = made.built()
    assert report.accuracy.top1_correct == 9 and made.scenario is None
    made.close()


def test_a_q_dq_network_runs_in_int8_only(prepared, data):
    folder = prepared()
    facts = msgspec.json.decode((folder / "facts.json").read_bytes(), type=ModelFacts)
    (folder / "facts.json").write_bytes(msgspec.json.encode(replace(facts, quantized=True)))
    made = build(folder, trial(data))
    made.ready()
    with pytest.raises(DataError, match="can only run in int8") as refused:
        made.built()
    assert refused.value.slug == "already-quantized"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A real network, prepared and calibrated."""
    tiny_network = pytest.importorskip("tiny_network", reason="needs PyTorch")
    qdq_network = pytest.importorskip("qdq_network", reason="needs ONNX Runtime")
    folder = tmp_path_factory.mktemp("tiny")
    model: PreparedModel = tiny_network.prepared_tiny(folder)
    (folder / "facts.json").write_bytes(msgspec.json.encode(model.facts))
    with np.load(model.reference) as stored:
        qdq_network.quantized(model, folder / "qdq", stored["images"])
    return folder


def int8(folder, engine="onnxruntime", quantized="qdq"):
    asked = replace(trial("synthetic", engine=EngineChoice(name=engine)), precision=Precision.INT8)
    asked = replace(asked, measurement=Measurement(), threads=1)
    made = build(folder, asked, quantized)
    made.ready()
    return made


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "null"])
def test_int8_is_built_from_the_q_dq_file_and_brings_its_calibration(tiny, engine):
    pytest.importorskip(engine) if engine != "null" else None
    made = int8(tiny, engine)
    report = made.built()
    assert report.verification.passed, report.verification.reason
    assert report.built.arithmetic.get("int8", 3) == 3
    assert report.calibration.int8_layers == 3 and report.calibration.method == "minmax"
    form = made._engine.activations
    assert report.built.size_bytes == (tiny / "qdq" / f"model.{form}.onnx").stat().st_size
    made.close()


def test_a_float32_file_in_place_of_the_q_dq_file_is_not_called_int8(tiny, tmp_path):
    other = tmp_path / "qdq"
    other.mkdir()
    (other / FILE_NAME).write_bytes((tiny / "qdq" / FILE_NAME).read_bytes())
    (other / f"model.{Form.UINT8}.onnx").write_bytes((tiny / "model.onnx").read_bytes())
    for quantized in (other, ""):
        made = int8(tiny, quantized=quantized)
        with pytest.raises(DataError, match="3 in fp32") as refused:
            made.built()
        assert refused.value.slug == "not-int8"
        made.close()


def test_int8_without_its_table_is_refused(tiny, tmp_path):
    with pytest.raises(DataError) as refused:
        int8(tiny, quantized=tmp_path).built()
    assert refused.value.slug == "bad-table"


@pytest.mark.parametrize("form", Form)
def test_a_q_dq_file_of_the_user_is_judged_by_its_own_answers(tiny, tmp_path, form):
    prepared = pytest.importorskip("tensordyno.models.prepared")
    from tensordyno.models.resolve import resolve

    with np.load(tiny / "reference.npz") as stored:
        images = stored["images"]
    folder = tmp_path / "made"
    prepared.prepare(resolve(str(tiny / "qdq" / f"model.{form}.onnx")), folder, images)
    made = int8(folder, engine="openvino", quantized="")
    report = made.built()
    assert report.verification.passed, report.verification.reason
    assert report.model.quantized and report.calibration is None
    assert report.built.arithmetic == {"int8": 3}
    made.close()


@pytest.mark.parametrize(
    ("engine", "error", "slug"),
    [
        (EngineChoice(name="nul"), UnknownName, "unknown-engine"),
        (EngineChoice(name="null", options={"cost": 1}), UsageError, "engine-options"),
        (EngineChoice(name="null", options={"cost_s": -1}), UsageError, "engine-options"),
    ],
)
def test_an_engine_or_option_that_is_not_there(prepared, data, engine, error, slug):
    with pytest.raises(error) as caught:
        build(prepared(), trial(data, engine=engine))
    assert caught.value.slug == slug


@pytest.mark.parametrize(
    ("engine", "cache", "kept"),
    [("forge", "all", "all"), ("forge", "", "prepared"), ("null", "all", "prepared")],
)
def test_only_an_engine_that_keeps_for_all_shares_its_cache(data, tmp_path, engine, cache, kept):
    folder = tmp_path / "prepared"
    asked = replace(trial(data, engine=EngineChoice(name=engine)), device="cuda:0", measurement=Measurement())
    order = StartOrder(trial=asked, folder=str(folder), cache=cache and str(tmp_path / cache))
    assert Build(order)._engine.setup.cache == tmp_path / kept


def on_gpu(data, size, **options):
    """A trial on a simulated GPU, where the null engine keeps its network from batch size to batch size."""
    engine = EngineChoice(name="null", options={"cost_s": 0.5, "load_s": 2} | options)
    return trial(data, batch_size=size, device="cuda:0", engine=engine, accuracy_images=0)


def test_the_next_batch_size_is_built_without_loading_anew(prepared, data):
    folder = prepared()
    made = build(folder, on_gpu(data, 5))
    made.ready()
    first = made.built()
    assert not first.built.reused and first.built.load_s == 2
    made.release()
    assert made.scenario is None
    second = Build.built(made, BuildOrder(trial=on_gpu(data, 64), folder=str(folder)))
    assert second.built.reused and second.built.load_s == second.built.import_s == 0
    assert "load" not in [p.name for p in second.phases] and second.verification.passed
    assert made.scenario.burst(BurstOrder()).burst.images % 64 == 0
    made.close()


@pytest.mark.parametrize("change", [{"seed": 3}, {"precision": Precision.FP16}, {"device": "cuda:1"}])
def test_a_worker_serves_one_build(prepared, data, change):
    folder = prepared()
    made = build(folder, on_gpu(data, 5))
    made.ready()
    made.built()
    other = replace(on_gpu(data, 5), **change)
    with pytest.raises(WorkerFailure, match="another build"):
        Build.built(made, BuildOrder(trial=other, folder=str(folder)))


def test_an_engine_that_cannot_resize_serves_one_batch_size(prepared, data):
    folder = prepared()
    made = build(folder, trial(data))  # on the CPU
    made.ready()
    made.built()
    with pytest.raises(WorkerFailure, match="another build"):
        Build.built(made, BuildOrder(trial=trial(data, batch_size=6), folder=str(folder)))


def test_a_batch_fits_or_memory_runs_out_and_the_build_goes_on(prepared, data):
    folder = prepared()
    asked = on_gpu(data, 1, memory_bytes=80, image_bytes=10)
    made = build(folder, asked)
    made.ready()

    def fits(size):
        return made.fits(FitOrder(trial=replace(asked, batch_size=size), folder=str(folder)))

    assert fits(8) == 80
    with pytest.raises(MemoryError) as full:
        fits(9)
    assert full.value.shortage.asked_bytes == 90
    made.release()
    assert fits(4) == 40
    made.close()


def test_one_wrong_row_of_a_large_batch_is_found(prepared, data, monkeypatch):
    """Each image's repetitions are all compared, not the first ones only."""
    from tensordyno.engines.null_step import NullStep

    def spoiled(step):
        logits = step._logits.copy()
        logits[-1] = logits[-1][::-1]
        return logits

    monkeypatch.setattr(NullStep, "output", spoiled)
    made = build(prepared(), trial(data, batch_size=60))
    made.ready()
    assert not made.built().verification.passed
