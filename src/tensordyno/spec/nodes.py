"""YAML text -> plain data, with the line of every key.

The scalars are those of YAML 1.2: in YAML 1.1, which PyYAML reads by default, the range `1:9:2` is the
base-60 number 4142, `1e-3` is text, and `no` is false.
"""

import re
from typing import Any

import yaml

from tensordyno.errors import SpecError
from tensordyno.spec.places import KeyPath, Places, key_text

_TAG = "tag:yaml.org,2002:"
_PLAIN = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
)
_MOST_NESTED = 20


class SpecLoader(yaml.SafeLoader):
    """Reads the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own name and type)


class SpecDumper(yaml.SafeDumper):
    """Writes text that reads back equal under YAML 1.1 and 1.2; paragraphs as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Equal values are written out each time: anchors are for machines."""
        return True


for _name, _pattern, _first in _PLAIN:
    _regex = re.compile(f"(?:{_pattern})$")
    SpecLoader.add_implicit_resolver(_TAG + _name, _regex, _first)
    SpecDumper.add_implicit_resolver(_TAG + _name, _regex, _first)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if set(text) & set("\x85\u2028\u2029\ufeff"):  # PyYAML takes them for line ends unless escaped
        style = '"'
    return dumper.represent_scalar(_TAG + "str", text, style=style)


SpecDumper.add_representer(str, _represent_text)


def parse_yaml(text: str, origin: str) -> tuple[Any, Places]:
    """The data of a YAML text and the places of its keys; `origin` is the file's name.

    Raises SpecError with file and line for text that is not YAML, and for a key given twice.
    """
    try:
        node = yaml.compose(text, Loader=SpecLoader)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise SpecError("bad-yaml", f"{origin}{line}: not YAML: {_one_line(wrong)}.") from wrong
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:
        raise SpecError("bad-yaml", f"{origin}: not YAML: {_one_line(wrong)}.") from wrong
    origins: dict[KeyPath, str] = {(): origin}
    data = None if node is None else _Reader(origin, origins).read(node, ())
    return data, Places(origins)


def parse_value(text: str) -> Any:
    """The value of `--set key=VALUE`, read as YAML.

    Raises ValueError, saying why, for text that is not YAML.
    """
    try:
        return parse_yaml(text, "value")[0]
    except SpecError as wrong:
        raise ValueError(wrong.sentence) from wrong


def _one_line(wrong: Exception) -> str:
    if isinstance(wrong, yaml.MarkedYAMLError):
        return " ".join(f"{wrong.context or ''} {wrong.problem or ''}".split())
    return " ".join(str(wrong).split())


class _Reader:
    """Walks the nodes of one text."""

    def __init__(self, origin: str, origins: dict[KeyPath, str]) -> None:
        self._origin = origin
        self._origins = origins

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        if len(path) > _MOST_NESTED:
            raise self._error(node, path, "bad-yaml", "nested too deep.")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._placed(child, child, (*path, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _placed(self, at: yaml.Node, node: yaml.Node, path: KeyPath) -> Any:
        self._origins[path] = f"{self._origin}:{at.start_mark.line + 1}"
        return self.read(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, path, "bad-yaml", "a key must be a word.")
            key = key_node.value
            if key in data:
                raise self._error(key_node, (*path, key), "duplicate-key", "this key is given twice.")
            data[key] = self._placed(key_node, value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        kind = node.tag.removeprefix(_TAG)
        try:
            return _CONSTRUCT[kind](node.value)
        except (KeyError, ValueError) as wrong:
            raise self._error(node, path, "bad-yaml", f"'{node.tag}' cannot be read here.") from wrong

    def _error(self, node: yaml.Node, path: KeyPath, slug: str, text: str) -> SpecError:
        key = f" {key_text(path)}:" if path else ""
        return SpecError(slug, f"{self._origin}:{node.start_mark.line + 1}:{key} {text}")


_CONSTRUCT: dict[str, Any] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    "str": str,
}
