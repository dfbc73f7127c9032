import msgspec
import pytest

from tensordyno.records.model import PreprocessingChange
from tensordyno.records.trial import EngineChoice, Measurement
from tensordyno.spec import rules
from tensordyno.spec.schema import (
    Block,
    CalibrationAxes,
    Limits,
    ModelChoice,
    Product,
    Spec,
    TelemetrySettings,
)


@pytest.mark.parametrize(
    ("table", "struct"),
    [
        (rules.SPEC, Spec),
        (rules.PRODUCT, Product),
        (rules.PRODUCT, Block),
        (rules.MODEL, ModelChoice),
        (rules.ENGINE, EngineChoice),
        (rules.MEASURE, Measurement),
        (rules.TELEMETRY, TelemetrySettings),
        (rules.LIMITS, Limits),
        (rules.CALIBRATION, CalibrationAxes),
        (rules.PREPROCESSING, PreprocessingChange),
    ],
)
def test_every_field_of_the_schema_has_a_rule_and_no_other_key_has(table, struct):
    assert set(table) == set(struct.__struct_fields__)


@pytest.mark.parametrize("struct", [Measurement, TelemetrySettings, Limits, Product, CalibrationAxes])
def test_defaults_keep_their_own_rules(struct):
    tables = {
        Measurement: rules.MEASURE,
        TelemetrySettings: rules.TELEMETRY,
        Limits: rules.LIMITS,
        Product: rules.PRODUCT,
        CalibrationAxes: rules.CALIBRATION,
    }
    for key, value in msgspec.to_builtins(struct()).items():
        rule = tables[struct][key]
        values = value if rule.many and value is not None else [value]
        assert rule.inside is not None or rule.may_be_empty or all(map(rule.accepts, values)), key


@pytest.mark.parametrize(
    ("table", "key", "good", "bad"),
    [
        (rules.MEASURE, "min_seconds", [0.1, 5], [0, -1, True, "5", None, float("inf"), float("nan"), 1e9]),
        (rules.MEASURE, "warmup_seconds", [0, 1.5], [-0.1]),
        (rules.MEASURE, "target_half_width", [0.01], [0, 1, 2]),
        (rules.MEASURE, "clock", ["real", "fake"], ["slow", None]),
        (rules.PRODUCT, "batch_sizes", [1, 4096], [0, -1, 1.0, True, 2**31]),
        (rules.PRODUCT, "devices", ["cpu", "cuda", "cuda:3"], ["gpu", "cuda:", "cuda:x", 0]),
        (rules.PRODUCT, "threads", [None, 1], [0, 1.5]),
        (rules.PRODUCT, "allocator", ["default", "keep"], ["jemalloc"]),
        (rules.PRODUCT, "precisions", ["fp32", "fp8"], ["fp31", "FP32"]),
        (rules.PRODUCT, "accuracy_images", [0, 1], [-1]),
        (rules.PRODUCT, "dataset", [None, "fashion"], ["", " ", "a\nb", 1]),
        (rules.PRODUCT, "task", ["inference", "accuracy"], ["quantize", None]),
        (rules.CALIBRATION, "images", ["50x25", "1x1"], ["50", 50, "0x3", None, ["50x25"], "99999999x9"]),
        (rules.CALIBRATION, "methods", ["entropy", "percentile:99.9"], ["", 3]),
        (rules.CALIBRATION, "seeds", [0, 7], [-1, "a", 1.5, True]),
        (rules.CALIBRATION, "keep_fp32", [0, 3, "auto"], [-1, "all", None, 1.5, True]),
        (rules.CALIBRATION, "max_drop", [0, 0.003, 0.99], [-0.1, 1, 5, "1%"]),
        (rules.CALIBRATION, "first_layer", [True, False], [0, "yes"]),
        (rules.CALIBRATION, "data", [None, "photos"], ["", 3]),
        (rules.PREPROCESSING, "resize", [None, 256], [0, -1, "256", 2.5]),
        (rules.PREPROCESSING, "mean", [[0.5], [0, 0.5, 1]], [[], [0.5, 0.5], [123.7] * 3, ["a"], 0.5, None]),
        (rules.PREPROCESSING, "std", [[1.0], [0.2, 0.3, 58.4]], [[0], [-1.0], [0.2] * 4, [True]]),
        (rules.PREPROCESSING, "channels", ["rgb", "bgr", "grey"], ["gray", None]),
        (rules.PREPROCESSING, "layout", ["nchw", "nhwc"], ["NHWC", None]),
        (rules.SPEC, "latency_bound_s", [None, 0.05], [0]),
        (rules.LIMITS, "max_alive", [1, 8], [0]),
    ],
)
def test_a_rule_accepts_and_refuses(table, key, good, bad):
    assert all(table[key].accepts(value) for value in good)
    assert not any(table[key].accepts(value) for value in bad)
