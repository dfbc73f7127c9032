import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.errors import SpecError
from tensordyno.spec.nodes import SpecDumper, parse_value, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:9:2", "1:9:2"),  # YAML 1.1: 4142
        ("1e-3", 0.001),  # YAML 1.1: text
        ("1.5", 1.5),
        ("-3", -3),
        ("010", 10),  # YAML 1.1: 8
        ("no", "no"),  # YAML 1.1: false
        ("on", "on"),
        ("true", True),
        ("null", None),
        ("", None),
        (".inf", math.inf),
        ("2026-11-21", "2026-11-21"),  # YAML 1.1: a date
        ("1,8,32", "1,8,32"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
        ("'8'", "8"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    assert parse_value(text) == value


def test_every_key_and_item_has_its_line():
    text = "name: x\nengines:\n  - torch\n  - name: openvino\n    options:\n      hint: latency\n"
    data, places = parse_yaml(text, "a.yaml")
    assert data["engines"][1]["options"] == {"hint": "latency"}
    assert places.where(("name",)) == "a.yaml:1"
    assert places.where(("engines", 0)) == "a.yaml:3"
    assert places.where(("engines", 1)) == "a.yaml:4"
    assert places.where(("engines", 1, "options", "hint")) == "a.yaml:6"


@pytest.mark.parametrize(
    ("text", "slug", "begins"),
    [
        ("a: 1\nb: 2\na: 3\n", "duplicate-key", "a.yaml:3: a: "),
        ("a:\n  b: 1\n  b: 2\n", "duplicate-key", "a.yaml:3: a.b: "),
        ("a: 1\nb: [1, 2\n", "bad-yaml", "a.yaml:3: not YAML"),
        ("a: 1\n\tb: 2\n", "bad-yaml", "a.yaml:2: not YAML"),
        ("a: b: c", "bad-yaml", "a.yaml:1: not YAML"),
        ("a: 1\n---\nb: 2\n", "bad-yaml", "a.yaml:2: not YAML"),
        ("a: *nobody", "bad-yaml", "a.yaml:1: not YAML"),
        ("a: \x00", "bad-yaml", "a.yaml: not YAML"),
        ("\n? [x]\n: 1", "bad-yaml", "a.yaml:2: a key must be a word"),
        ("a: !!python/object:os.system {}", "bad-yaml", ""),
        ("a: !mine 1", "bad-yaml", "a.yaml:1: a: '!mine'"),
        ("a: !!int x", "bad-yaml", "a.yaml:1: a: "),
        ("a: &x [*x]", "bad-yaml", "a.yaml:1: a[0]"),
    ],
)
def test_broken_text_is_one_line_with_file_and_line(text, slug, begins):
    try:
        data, _ = parse_yaml(text, "a.yaml")
    except SpecError as wrong:
        assert wrong.slug == slug
        assert wrong.sentence.startswith(begins)
        assert "\n" not in wrong.line()
    else:
        # a tag on a mapping asks for nothing here: mappings are always read as mappings
        assert data == {"a": {}} and "python/object" in text


_LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
_DATA = st.recursive(_LEAVES, lambda d: st.lists(d, max_size=3) | st.dictionaries(st.text(), d, max_size=3))


@given(_DATA)
def test_what_is_dumped_reads_back_equal(data):
    text = yaml.dump(data, Dumper=SpecDumper, allow_unicode=True, default_flow_style=None)
    assert parse_yaml(text, "x")[0] == data


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\u2029", "\ufeff", "\r", "\r\n", "\t", "\x7f"])
def test_unusual_line_ends_survive(end):
    data = {f"a{end}": [f"b{end}c\n{end}d", end]}
    text = yaml.dump(data, Dumper=SpecDumper, allow_unicode=True, default_flow_style=None)
    assert parse_yaml(text, "x")[0] == data


def test_text_that_looks_like_a_number_is_dumped_with_quotes():
    data = ["1e-3", "1:9:2", "null", "no", "5"]
    assert parse_yaml(yaml.dump(data, Dumper=SpecDumper), "x")[0] == data
