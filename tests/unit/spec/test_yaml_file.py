import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tensordyno.errors import SpecError, UsageError
from tensordyno.records.model import PreprocessingChange
from tensordyno.records.trial import EngineChoice, Measurement
from tensordyno.spec.schema import Block, CalibrationAxes, ModelChoice, Spec
from tensordyno.spec.yaml_file import DEMO, dump, load_spec, spec_from_flags, spec_from_text
from tensordyno.vocabulary import Precision, Task

EXAMPLES = sorted((Path(__file__).parents[3] / "specs").glob("*.yaml"))


@pytest.mark.parametrize("path", [DEMO, *EXAMPLES], ids=lambda path: path.stem)
def test_shipped_specs_load_and_dump_equal(path):
    spec = load_spec(path).spec
    assert spec.name == path.stem
    assert len(spec.purpose) > 100
    assert spec_from_text(dump(spec), "dumped").spec == spec


def test_the_demo_asks_for_four_engines_on_resnet50_and_the_trained_networks():
    products = load_spec(DEMO).spec.products()
    asked = {(m.name, b) for p in products for m in p.models for b in p.batch_sizes}
    networks = {("resnet50", 1), ("resnet50", 8)}
    networks |= {(name, 32) for name in ("lenet5_fashion", "resnet8_fashion", "vgg6_fashion")}
    assert asked == networks
    engines = ["torch", "torch-compile", "onnxruntime", "openvino"]
    for product in products:  # beyond batch 1 the demonstration spares the reader the long compilations
        alone = product.batch_sizes == (1,)
        wanted = engines if alone else [e for e in engines if e != "torch-compile"]
        assert [e.name for e in product.engines] == wanted
        assert product.precisions == (("fp32",) if alone else ("fp32", "int8"))


def test_a_missing_file_and_a_folder_are_usage_errors(tmp_path):
    for path in (tmp_path / "nothing.yaml", tmp_path):
        with pytest.raises(UsageError) as caught:
            load_spec(path)
        assert caught.value.slug == "no-spec"
        assert str(path) in caught.value.sentence


def test_a_file_that_is_not_text_is_a_spec_error(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="not UTF-8"):
        load_spec(path)


def test_the_file_gives_the_name_and_sets_change_it(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("models: [resnet50]\nengines: [torch]\n", encoding="utf-8")
    spec = load_spec(path, ["measure.min_seconds=5", "precisions=fp32,bf16", "batch_sizes=1:8:x2"]).spec
    assert spec.name == "mine"
    assert spec.measure == Measurement(min_seconds=5.0)
    assert spec.precisions == (Precision.FP32, Precision.BF16)
    assert spec.batch_sizes == (1, 2, 4, 8)


def test_an_error_after_a_set_names_the_set():
    with pytest.raises(SpecError, match=r"^--set threads=0: threads: found 0"):
        spec_from_text("models: a\nengines: b\n", "a.yaml", ["threads=0"])


def test_flags_make_a_spec_and_errors_name_the_flag():
    flags = {"models": ["resnet50"], "engines": "torch,openvino:streams=2", "batch_sizes": "1,8"}
    made = spec_from_flags(flags, {"engines": "--engine"}, name="infer")
    assert made.spec.engines[1] == EngineChoice(name="openvino", options={"streams": 2})
    assert made.spec.batch_sizes == (1, 8) and made.spec.name == "infer"
    assert made.places.where(("engines", 1)) == "--engine"
    with pytest.raises(SpecError, match=r"^--batch: batch_sizes: 'x' is no batch size"):
        spec_from_flags(flags | {"batch_sizes": "x"}, {"batch_sizes": "--batch"})


_WORDS = st.text(st.characters(categories=("L", "N", "P", "S")) | st.just(" "), min_size=1).filter(str.strip)
_SHARES = st.floats(0, 1).map(lambda v: (v,)) | st.tuples(*[st.floats(0.01, 1)] * 3)
_LOOKS = st.none() | st.builds(
    PreprocessingChange,
    resize=st.none() | st.integers(1, 999),
    mean=st.just(UNSET) | _SHARES,
    std=st.just(UNSET) | st.just((0.25,)),
    channels=st.just(UNSET) | st.sampled_from(["rgb", "bgr", "grey"]),
    layout=st.just(UNSET) | st.sampled_from(["nchw", "nhwc"]),
)
_CALIBRATIONS = st.builds(
    CalibrationAxes,
    data=st.none() | _WORDS,
    images=st.lists(st.builds("{}x{}".format, st.integers(1, 99), st.integers(1, 99)), min_size=1).map(tuple),
    methods=st.lists(_WORDS, min_size=1).map(tuple),
    seeds=st.lists(st.integers(0, 2**31 - 1), min_size=1).map(tuple),
    keep_fp32=st.just("auto") | st.integers(0, 99),
    max_drop=st.floats(0, 0.99),
    first_layer=st.booleans(),
    last_layer=st.booleans(),
)
_MODELS = st.lists(
    st.builds(ModelChoice, name=_WORDS, weights=st.none() | _WORDS, preprocessing=_LOOKS), min_size=1
).map(tuple)
_OPTIONS = st.dictionaries(_WORDS, st.integers() | st.booleans() | _WORDS | st.floats(0, 1), max_size=2)
_ENGINES = st.lists(st.builds(EngineChoice, name=_WORDS, options=_OPTIONS), min_size=1).map(tuple)
_BATCHES = st.lists(st.integers(1, 4096), min_size=1).map(tuple)
_BLOCKS = st.lists(
    st.builds(Block, models=_MODELS, batch_sizes=_BATCHES)
    | st.builds(Block, dataset=st.none() | _WORDS, threads=st.none() | st.integers(1, 9))
    | st.builds(Block, calibration=_CALIBRATIONS, task=st.sampled_from([Task.ACCURACY, Task.INFERENCE])),
    max_size=3,
).map(tuple)


@given(
    st.builds(
        Spec,
        name=_WORDS,
        purpose=st.text(st.characters(exclude_categories=("Cs",))),
        models=_MODELS,
        engines=_ENGINES,
        batch_sizes=_BATCHES,
        precisions=st.lists(st.sampled_from(Precision), min_size=1).map(tuple),
        latency_bound_s=st.none() | st.floats(1e-9, 10),
        calibration=_CALIBRATIONS,
        preprocessing=_LOOKS,
        blocks=_BLOCKS,
    )
)
def test_a_dumped_spec_loads_back_equal(spec):
    assert spec_from_text(dump(spec), "dumped").spec == spec


def test_a_dump_is_complete_with_defaults():
    text = dump(Spec(models=(ModelChoice(name="a"),), engines=(EngineChoice(name="b"),)))
    data = msgspec.yaml.decode(text)
    assert set(data) == set(Spec.__struct_fields__) - {"blocks"}
    assert data["measure"]["max_seconds"] == 30


def test_reading_a_spec_loads_neither_numpy_nor_a_framework():
    program = (
        "import sys, tensordyno.spec.yaml_file as y; y.load_spec(y.DEMO);"
        "print([m for m in ('numpy', 'torch', 'onnxruntime', 'openvino', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
