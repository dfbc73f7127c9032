"""What every figure promises, whatever the run: valid specifications, words, bounds, or a reason."""

import json
from importlib.resources import files

import pytest
from made_gpu_run import make_gpu_run
from made_int8_run import STUDIED, make_accuracy_run, make_int8_run
from made_run import Story, make_run

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import FIGURES, Empty, figure
from tensordyno.figures.style import engine_colour
from tensordyno.report.outline import FIGURES_IN_ORDER
from tensordyno.store.reader import read_run

NAMES = FIGURES.names()
MOST_ROWS = 4000
NOT_PLAIN = {
    *("int8-speedup", "accuracy-speed", "calibration-study", "layer-sensitivity"),
    *("device-memory", "efficiency", "scaling", "device-consistency", "roofline"),
    *("accuracy", "pareto", "throughput-latency"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Everything, almost nothing, nothing valid, more than fits on a page, INT8, no stopwatch, and GPUs."""
    every = Story().models
    broken = {f"resnet50.torch.fp32.b{b}": next(iter(Story().endings.values())) for b in (1, 8, 32)}
    stories = {
        "full": Story(power=True),
        "one": Story(models=("resnet50",), engines=("torch",), precisions=("fp32",), batches=(1,)),
        "two bursts": Story(models=every[:1], engines=("torch", "openvino"), bursts=2),
        "unstable": Story(models=("resnet50",), engines=("torch",), precisions=("fp32",), endings=broken),
        "skipped": Story(models=("resnet50",), engines=("onnxruntime",), precisions=("bf16",)),
        "many": Story(
            models=tuple(f"network_{i:02}" for i in range(20)), batches=(1, 8), interval_s=20, endings={}
        ),
    }
    folder = tmp_path_factory.mktemp("runs")
    found = {
        name: read_run(make_run(folder / name.replace(" ", "_"), story)) for name, story in stories.items()
    }
    found["int8"] = read_run(make_int8_run(folder / "int8"))
    found["accuracy"] = read_run(make_accuracy_run(folder / "accuracy"))
    found["study"] = read_run(make_accuracy_run(folder / "study", STUDIED, engines=("onnxruntime",)))
    found["gpu"] = read_run(make_gpu_run(folder / "gpu"))
    return {name: (run, scores(run)) for name, run in found.items()}


def drawn(name, runs):
    """A figure with the data of the first run that has all it shows."""
    for case in ("full", "int8", "study", "gpu"):
        found = figure(name).data(*runs[case])
        if not isinstance(found, Empty):
            return found
    raise AssertionError(f"no run shows {name}")


@pytest.fixture(scope="module")
def schema():
    return json.loads((files("altair") / "vegalite/v6/schema/vega-lite-schema.json").read_text())


@pytest.fixture(
    params=["full", "one", "two bursts", "unstable", "skipped", "many", "int8", "accuracy", "study", "gpu"]
)
def case(request, runs):
    return runs[request.param]


@pytest.mark.parametrize("name", NAMES)
def test_words(name):
    member = figure(name)
    assert member.title and not member.title.endswith(".")
    assert member.how_to_read.endswith(".") and len(member.how_to_read) < 400


def test_every_figure_is_in_the_report():
    assert set(FIGURES_IN_ORDER) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_data_are_json_bounded_told_in_words_or_absent_with_a_reason(name, case):
    found = figure(name).data(*case)
    if isinstance(found, Empty):
        assert found.reason.endswith(".")
        return
    json.dumps(found.rows, allow_nan=False)
    assert 0 < len(found.rows) <= MOST_ROWS
    assert found.finding.endswith(".")
    assert all(set(found.columns) <= set(row) for row in found.told)


@pytest.mark.parametrize("name", NAMES)
def test_the_specification_obeys_the_schema_and_carries_no_theme(name, runs, schema):
    jsonschema = pytest.importorskip("jsonschema")
    for run, rows in (runs[case] for case in ("full", "many", "int8", "study", "gpu")):
        found = figure(name).data(run, rows)
        if isinstance(found, Empty):
            continue
        spec = figure(name).chart(found)
        jsonschema.validators.validator_for(schema)(schema).validate({**spec, "datasets": {}})
        assert "config" not in spec
        assert spec["usermeta"].keys() == {"columns", "width", "margin"}


@pytest.mark.parametrize("name", NAMES)
def test_every_field_that_is_drawn_exists(name, runs):
    found = drawn(name, runs)
    spec = figure(name).chart(found)
    fields = {key for row in found.rows for key in row} | {"reference"}
    assert set(re_fields(spec["concat"])) <= fields


def re_fields(node):
    if isinstance(node, dict):
        if isinstance(node.get("field"), str):
            yield node["field"]
        for value in node.values():
            yield from re_fields(value)
    elif isinstance(node, list):
        for value in node:
            yield from re_fields(value)


@pytest.mark.parametrize("name", NAMES)
def test_engines_have_their_own_colours_in_every_figure(name, runs):
    found = drawn(name, runs)
    text = json.dumps(figure(name).chart(found))
    if any("engine_name" in row for row in found.rows):
        for engine in {row["engine_name"] for row in found.rows if "engine_name" in row}:
            assert engine_colour(engine) in text


@pytest.mark.parametrize("name", NAMES)
def test_the_same_run_gives_the_same_specification(name, runs):
    one, two = (figure(name).chart(drawn(name, runs)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_asked_for_is_left_out_without_a_word(name, runs):
    """A plain run of one untrained network in FP32 on a CPU is silent about INT8, GPUs and energy."""
    found = figure(name).data(*runs["one"])
    assert (name in NOT_PLAIN) == (isinstance(found, Empty) and not found.expected)
