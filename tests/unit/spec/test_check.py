import pytest

from tensordyno.errors import SpecError
from tensordyno.records.model import PreprocessingChange
from tensordyno.spec.schema import CalibrationAxes
from tensordyno.spec.yaml_file import spec_from_text

GOOD = "models: [resnet50]\nengines: [torch]\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "a.yaml: 'models' is missing. Add for example: models: [resnet50] [missing-key]"),
        (
            "models: x",
            "a.yaml: 'engines' is missing. Add for example: engines: [torch, onnxruntime] [missing-key]",
        ),
        ("- 1", "a.yaml: found [1]; a spec is a mapping of key: value. [bad-value]"),
        (
            GOOD + "precision: fp32",
            "a.yaml:3: precision: there is no such key. Did you mean precisions? [unknown-key]",
        ),
        (
            GOOD + "precisions: [fp32, fp61]",
            "a.yaml:3: precisions[1]: found 'fp61'; allowed: one of fp32, tf32, bf16, fp16, int8, fp8."
            " Did you mean fp16? [unknown-precision]",
        ),
        (
            GOOD + "measure:\n  min_seconds: -1",
            "a.yaml:4: measure.min_seconds: found -1; allowed: a number of seconds above 0, at most a week."
            " [bad-value]",
        ),
        (
            GOOD + "measure: {min_secs: 1}",
            "a.yaml:3: measure.min_secs: there is no such key. Did you mean min_seconds? [unknown-key]",
        ),
        (
            GOOD + "measure: {min_seconds: 50}",
            "a.yaml:3: measure: min_seconds 50 is more than max_seconds 30. Raise max_seconds. [bad-value]",
        ),
        (
            GOOD + "devices: []",
            "a.yaml:3: devices: the list is empty. Allowed: cpu, cuda or cuda:N. [empty-list]",
        ),
        (
            GOOD + "gpus: [1, 0]",
            "a.yaml:3: gpus[1]: found 0; allowed: numbers of devices, for example 1,2,4. [bad-value]",
        ),
        (
            GOOD + "gpus: 1,many",
            "a.yaml:3: gpus[1]: found 'many'; allowed: numbers of devices, for example 1,2,4. [bad-value]",
        ),
        (
            GOOD + "gpus: true",
            "a.yaml:3: gpus[0]: found true; allowed: numbers of devices, for example 1,2,4. [bad-value]",
        ),
        (
            GOOD + "gpus: []",
            "a.yaml:3: gpus: the list is empty. Allowed: numbers of devices, for example 1,2,4. [empty-list]",
        ),
        (
            GOOD + "largest_batch: maybe",
            "a.yaml:3: largest_batch: found 'maybe'; allowed: true or false. [bad-value]",
        ),
        (
            GOOD + "telemetry: {regulator_efficiency: 0}",
            "a.yaml:3: telemetry.regulator_efficiency: found 0; allowed: a fraction above 0, at most 1."
            " [bad-value]",
        ),
        (
            GOOD + "blocks: [{ceilings: false}]",
            "a.yaml:3: blocks[0].ceilings: 'ceilings' holds for the whole run and cannot be set in a block."
            " Move it to the top level. [unknown-key]",
        ),
        (
            GOOD + "threads: two",
            "a.yaml:3: threads: found 'two'; allowed: a whole number, 1 or more, or null. [bad-value]",
        ),
        (
            GOOD + "skip_unreadable: 1",
            "a.yaml:3: skip_unreadable: found 1; allowed: true or false. [bad-value]",
        ),
        (GOOD + "measure: fast", "a.yaml:3: measure: found 'fast'; allowed: a mapping. [bad-value]"),
        ("models:\n- weights: a.pt\nengines: a", "a.yaml:2: models[0]: 'name' is missing. [missing-key]"),
        (
            GOOD + "baseline: onnxruntime",
            "a.yaml:3: baseline: 'onnxruntime' is none of this spec's engines. Known: torch."
            " [unknown-baseline]",
        ),
        (
            GOOD + "blocks:\n- seed: 3",
            "a.yaml:4: blocks[0].seed: 'seed' holds for the whole run and cannot be set in a block."
            " Move it to the top level. [unknown-key]",
        ),
        (
            "engines: [a]\nblocks:\n- models: [b]\n- batch_sizes: 3",
            "a.yaml:4: blocks[1]: 'models' is missing. Add for example: models: [resnet50] [missing-key]",
        ),
        (
            GOOD + "calibration:\n  images: [50x25, '50']",
            "a.yaml:4: calibration.images[1]: found '50'; allowed: batches x images in a batch, for example"
            " 50x25. [bad-calibration]",
        ),
        (
            GOOD + "calibration: {methods: []}",
            "a.yaml:3: calibration.methods: the list is empty. Allowed: names of methods, for example entropy"
            " or percentile:99.9. [empty-list]",
        ),
        (
            GOOD + "calibration: {method: mse}",
            "a.yaml:3: calibration.method: there is no such key. Did you mean methods? [unknown-key]",
        ),
        (
            GOOD + "calibration: {keep_fp32: all}",
            "a.yaml:3: calibration.keep_fp32: found 'all'; allowed: a number of layers, 0 or more, or auto."
            " [bad-value]",
        ),
        (
            GOOD + "calibration: 50x25",
            "a.yaml:3: calibration: found '50x25'; allowed: a mapping. [bad-value]",
        ),
        (
            GOOD + "preprocessing: {channels: gray}",
            "a.yaml:3: preprocessing.channels: found 'gray'; allowed: one of rgb, bgr, grey."
            " Did you mean grey? [bad-value]",
        ),
        (
            GOOD + "preprocessing: {crop: 224}",
            "a.yaml:3: preprocessing.crop: there is no such key. Allowed: resize, mean, std, channels,"
            " layout. [unknown-key]",
        ),
        (
            GOOD + "preprocessing: 3",
            "a.yaml:3: preprocessing: found 3; allowed: a mapping of resize, mean, std, channels, layout,"
            " or null. [bad-value]",
        ),
    ],
)
def test_each_mistake_is_one_line(text, line):
    with pytest.raises(SpecError) as caught:
        spec_from_text(text, "a.yaml")
    assert caught.value.line() == line


@pytest.mark.parametrize("text", ["batch_sizes: 0", "batch_sizes: [1, 0]", "batch_sizes: 0:8:x2"])
def test_a_batch_of_0_is_refused(text):
    with pytest.raises(SpecError, match=r"a\.yaml:3: batch_sizes.*0.*"):
        spec_from_text(GOOD + text, "a.yaml")


def test_an_unknown_key_without_a_near_one_lists_all():
    with pytest.raises(SpecError) as caught:
        spec_from_text(GOOD + "telemetry: {zzz: 1}", "a.yaml")
    assert caught.value.remedy == "Allowed: interval_s, sources, overhead, regulator_efficiency."


def test_a_block_that_sets_one_measure_keeps_the_others():
    text = GOOD + "measure: {max_seconds: 9}\nblocks:\n- measure: {min_seconds: 1}\n- batch_sizes: 2"
    first, second = spec_from_text(text, "a.yaml").spec.products()
    assert (first.measure.min_seconds, first.measure.max_seconds) == (1, 9)
    assert (second.measure.min_seconds, second.measure.max_seconds) == (2, 9)


def test_a_baseline_may_be_an_engine_with_its_options():
    text = "models: a\nengines: torch,openvino:hint=latency\nbaseline: "
    for baseline in ("torch", "openvino", "openvino(hint=latency)"):
        assert spec_from_text(text + baseline, "a.yaml").spec.baseline == baseline


def test_no_sensors_is_not_all_sensors():
    sources = [
        spec_from_text(GOOD + f"telemetry: {{sources: {text}}}", "a.yaml").spec.telemetry.sources
        for text in ("[]", "null", "[cpu]")
    ]
    assert sources == [(), None, ("cpu",)]


def test_a_block_that_sets_one_key_of_a_calibration_keeps_the_others():
    text = (
        GOOD
        + "calibration: {images: 10x5, seeds: '1,2'}\nblocks:\n- calibration: {methods: mse}\n- threads: 1"
    )
    first, second = spec_from_text(text, "a.yaml").spec.products()
    assert first.calibration == CalibrationAxes(images=("10x5",), seeds=(1, 2), methods=("mse",))
    assert second.calibration == CalibrationAxes(images=("10x5",), seeds=(1, 2))


def test_a_block_adds_to_the_preprocessing_or_takes_it_back():
    text = GOOD + "preprocessing: resize=256\nblocks:\n- preprocessing: channels=bgr\n- preprocessing: null"
    first, second = spec_from_text(text, "a.yaml").spec.products()
    assert first.preprocessing == PreprocessingChange(resize=256, channels="bgr")
    assert second.preprocessing is None
