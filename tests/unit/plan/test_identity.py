import re

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tensordyno.plan.identity import file_safe, model_text, unique, with_ids
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import PreprocessingChange
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.vocabulary import Precision, Task


def trial(model="resnet50", engine="torch", options=None, python=None, batch_size=8, **more):
    choice = EngineChoice(name=engine, options=options or {}, python=python)
    return Trial(id="", model=model, engine=choice, precision=Precision.FP32, batch_size=batch_size, **more)


def ids(*trials):
    return [t.id for t in with_ids(trials)]


def test_an_id_says_what_the_trial_is():
    assert ids(trial(), trial(engine="openvino", options={"hint": "latency"})) == [
        "resnet50-torch-fp32-b8-host",
        "resnet50-openvino-fp32-b8-host",
    ]


def test_what_differs_is_named_and_only_there():
    assert ids(
        trial(),
        trial(allocator="keep"),
        trial(batch_size=1),
        trial(engine="openvino"),
        trial(engine="openvino", options={"hint": "throughput", "streams": 2}),
    ) == [
        "resnet50-torch-fp32-b8-host",
        "resnet50-torch-fp32-b8-host-keep",
        "resnet50-torch-fp32-b1-host",
        "resnet50-openvino-fp32-b8-host",
        "resnet50-openvino-fp32-b8-host-hint=throughput_streams=2",
    ]


def test_devices_threads_data_weights_and_interpreters_tell_trials_apart():
    both = ids(
        trial(device="cpu", threads=1, dataset="a/x.npz", weights="w/one.pt", python="/opt/old/bin/python"),
        trial(
            device="cuda:0", threads=2, dataset="fashion", weights="w/two.pt", python="/opt/new/bin/python"
        ),
    )
    stem = "resnet50-torch-fp32-b8-host"
    assert both == [f"{stem}-old-cpu-t1-x-one", f"{stem}-new-cuda0-t2-fashion-two"]


def test_duplicates_are_removed_and_the_order_kept():
    assert ids(trial(), trial(batch_size=1), trial(), trial(batch_size=1, seed=0)) == [
        "resnet50-torch-fp32-b8-host",
        "resnet50-torch-fp32-b1-host",
    ]


def test_equal_names_get_a_hash_that_does_not_depend_on_the_order():
    one, two = trial(model="a/net.onnx"), trial(model="b/net.onnx")
    forward, backward = ids(one, two), ids(two, one)
    assert sorted(forward) == sorted(backward)
    assert all(re.fullmatch(r"net-torch-fp32-b8-host-[0-9a-f]{6}", name) for name in forward)


def test_models_are_named_shortly():
    names = ["torchvision:resnet50", "a.b:make", "/data/Net.ONNX", "x/y.onnx"]
    assert [model_text(n) for n in names] == ["torchvision.resnet50", "a.b.make", "Net", "y"]


def test_a_hash_that_collides_with_a_name_is_made_longer():
    contents = [b"1", b"2", b"3"]
    short = unique(["x", "x", "y"], contents)[0]
    names = unique(["x", "x", short], contents)
    assert len(set(names)) == 3 and names[2] == short and names[0].startswith(short)


@given(st.lists(st.tuples(st.text(max_size=200), st.text(max_size=9), st.integers(1, 3)), max_size=12))
def test_any_names_give_unique_ids_fit_for_files(asked):
    given_ids = ids(*(trial(model=m, engine=e, batch_size=b) for m, e, b in asked))
    assert len(set(given_ids)) == len(given_ids) == len(set(asked))
    for name in given_ids:
        assert re.fullmatch(r"[A-Za-z0-9_=][A-Za-z0-9._=-]*", name) and len(name) <= 200


def test_no_text_makes_a_hidden_or_empty_file_name():
    assert [file_safe(t) for t in ("", "..", "../../etc/passwd", ".x", "ü b")] == [
        "_",
        "_",
        "etc_passwd",
        "x",
        "b",
    ]


def int8(**calibration):
    return replace(trial(), precision=Precision.INT8, calibration=Calibration(**calibration))


def test_one_calibration_needs_no_mention():
    assert ids(trial(), int8()) == ["resnet50-torch-fp32-b8-host", "resnet50-torch-int8-b8-host"]


def test_calibrations_are_told_apart_by_what_differs():
    stem = "resnet50-torch-int8-b8-host"
    assert ids(int8(), int8(method="percentile:99.9"), int8(batches=10, batch_size=5)) == [
        f"{stem}-50x25-entropy",
        f"{stem}-50x25-percentile_99.9",
        f"{stem}-10x5-entropy",
    ]
    assert ids(int8(seed=1), int8(seed=2)) == [f"{stem}-s1", f"{stem}-s2"]
    assert ids(int8(), int8(data="a/photos")) == [stem, f"{stem}-photos"]


def test_what_stays_in_fp32_is_told():
    stem = "resnet50-torch-int8-b8-host"
    asked = (
        int8(),
        int8(keep_fp32=3),
        int8(keep_fp32="auto"),
        int8(keep_fp32="auto", max_drop=0.01),
        int8(first_layer=False, last_layer=False),
        int8(last_layer=False, keep_fp32=1),
    )
    assert ids(*asked) == [
        stem,
        f"{stem}-keep3",
        f"{stem}-keepauto0.003",
        f"{stem}-keepauto0.01",
        f"{stem}-first-last",
        f"{stem}-keep1-last",
    ]


def test_task_images_and_preprocessing_tell_trials_apart():
    stem = "resnet50-torch-fp32-b8-host"
    assert ids(trial(), trial(task=Task.ACCURACY)) == [stem, f"{stem}-accuracy"]
    assert ids(trial(), trial(hold_out=True)) == [stem, f"{stem}-held-out"]
    change = PreprocessingChange(resize=None, mean=(0.5, 0.4, 0.3))
    assert ids(trial(), trial(preprocessing=change)) == [stem, f"{stem}-resize=none_mean=0.5_0.4_0.3"]


_CALIBRATIONS = st.builds(
    Calibration,
    data=st.none() | st.sampled_from(["a/x", "b/x"]),
    batches=st.integers(1, 3),
    method=st.sampled_from(["entropy", "percentile:99", "percentile;99"]),
    seed=st.integers(0, 2),
    keep_fp32=st.just("auto") | st.integers(0, 2),
    max_drop=st.sampled_from([0.1, 0.2]),
    first_layer=st.booleans(),
)


@given(st.lists(_CALIBRATIONS, min_size=1, max_size=9))
def test_any_calibrations_get_ids_of_their_own(calibrations):
    found = ids(*(replace(int8(), calibration=c) for c in calibrations))
    assert len(found) == len(set(found)) == len(set(calibrations))
