import pytest

from tensordyno.errors import SpecError
from tensordyno.records.trial import EngineChoice
from tensordyno.spec.engine_text import parse_engine, parse_engines


def test_a_bare_name():
    assert parse_engine(" openvino ") == EngineChoice(name="openvino")


def test_options_are_read_as_yaml():
    choice = parse_engine("openvino:hint=throughput,streams=2,turbo=true,slack=1e-3")
    assert choice.options == {"hint": "throughput", "streams": 2, "turbo": True, "slack": 0.001}


def test_python_names_the_interpreter_and_is_no_option():
    choice = parse_engine("openvino:hint=latency,python=/opt/ov/bin/python")
    assert choice == EngineChoice(name="openvino", options={"hint": "latency"}, python="/opt/ov/bin/python")


def test_several_engines_keep_their_own_options():
    engines = parse_engines("torch,openvino:hint=throughput,streams=2,onnxruntime:provider=cuda,null")
    assert [engine.label for engine in engines] == [
        "torch",
        "openvino(hint=throughput,streams=2)",
        "onnxruntime(provider=cuda)",
        "null",
    ]


@pytest.mark.parametrize("text", ["", ":", "a:", "a:b", "a:=1", "a:b=[", "a,,b"])
def test_what_is_no_engine_is_refused(text):
    with pytest.raises(SpecError) as caught:
        parse_engines(text)
    assert caught.value.slug == "bad-engine"
    assert "\n" not in caught.value.line()
