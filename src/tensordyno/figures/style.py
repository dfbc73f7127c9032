"""How figures look: one colour an engine for ever, one mark a precision, two themes, one type face."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal

Theme = Literal["light", "dark"]

# After Okabe & Ito (2008), "Color Universal Design", adjusted so that each reads on white and on near-black.
# Order never matters: a colour belongs to its engine in every figure of every report.
ENGINE_COLOURS = {
    "torch": "#d55e00",
    "torch-compile": "#aa4499",
    "onnxruntime": "#0072b2",
    "openvino": "#009e73",
    "tensorrt": "#c28e00",
    "forge": "#56a8e0",
    "null": "#6e7076",
}
_RESERVE = ("#8c6d31", "#7b6fd0", "#c0475f", "#5f8a1f", "#2f8f9d", "#b07aa1")

PRECISION_SHAPES = {
    "fp32": "circle",
    "tf32": "triangle-up",
    "bf16": "square",
    "fp16": "triangle-down",
    "int8": "diamond",
    "fp8": "cross",
}

# Number formats, in figures that compare them within one engine.
PRECISION_COLOURS = {
    "fp32": "#4f7fc4",
    "tf32": "#2f9c8a",
    "bf16": "#d08a2c",
    "fp16": "#c8504a",
    "int8": "#8470dc",
    "fp8": "#96892a",
}
_MARKS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")

# Calibration methods; none is an engine's colour.
METHOD_COLOURS = {
    "minmax": "#9a7420",
    "percentile": "#8470dc",
    "mse": "#1f8a99",
    "entropy": "#d9415f",
}
LAYER_COLOURS = {"INT8": "#5b7db1", "kept in FP32": "#c8442b"}

# Steps to the first result and phases of a trial, dark to light so that they survive a grey print.
PHASE_COLOURS = {
    "import": "#2f4b7c",
    "load": "#5b7db1",
    "prepare": "#2f4b7c",
    "build": "#93a7c9",
    "compile": "#e0913a",
    "first inference": "#9a9da3",
    "verify": "#9a76b8",
    "accuracy": "#c0475f",
    "warm-up": "#e0b04a",
    "measured": "#2f9c8a",
    "contended": "#c8442b",
    "energy window": "#8ab33a",
    "idle": "#6f7788",
}
# Devices of one kind, by number.
DEVICE_COLOURS = (
    *("#4f7fc4", "#d1762f", "#2f9c8a", "#b85ea8"),
    *("#c8443f", "#96892a", "#7b6fd0", "#868d97"),
)

FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"

_INK = {
    "light": {"text": "#1c2024", "soft": "#5a626b", "grid": "#e7e9ec", "line": "#c3c8ce", "paper": "#ffffff"},
    "dark": {"text": "#e8eaed", "soft": "#a4abb3", "grid": "#2a2f36", "line": "#444b54", "paper": "#14171b"},
}


def engine_colour(engine_name: str) -> str:
    """The colour of an engine (its name without options): fixed if known, else drawn from its name."""
    if engine_name in ENGINE_COLOURS:
        return ENGINE_COLOURS[engine_name]
    digest = hashlib.sha256(engine_name.encode()).digest()
    return _RESERVE[digest[0] % len(_RESERVE)]


def engine_scale(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """A colour scale for (engine label, engine name) pairs, labels in order of name."""
    by_label = dict(sorted(set(pairs), key=lambda pair: (pair[1], pair[0])))
    return {"domain": list(by_label), "range": [engine_colour(name) for name in by_label.values()]}


def precision_scale(precisions: Sequence[str]) -> dict[str, list[str]]:
    """A shape scale for the precisions present, in the order of `PRECISION_SHAPES`."""
    known = [p for p in PRECISION_SHAPES if p in precisions]
    other = sorted(set(precisions) - set(known))
    return {"domain": known + other, "range": [PRECISION_SHAPES[p] for p in known] + ["stroke"] * len(other)}


def precision_colours(precisions: Sequence[str]) -> dict[str, list[str]]:
    """A colour scale for the precisions present, in the order of `PRECISION_COLOURS`."""
    known = [p for p in PRECISION_COLOURS if p in precisions]
    other = sorted(set(precisions) - set(known))
    return {"domain": known + other, "range": [PRECISION_COLOURS.get(p, _RESERVE[0]) for p in known + other]}


def series_marks(names: Sequence[str]) -> dict[str, list[str]]:
    """A shape scale for series by name, in the order given; shapes repeat after six."""
    return {"domain": list(names), "range": [_MARKS[i % len(_MARKS)] for i in range(len(names))]}


def method_colour(method: str) -> str:
    """The colour of a calibration method; 'percentile:99.9' has that of percentiles."""
    return METHOD_COLOURS.get(method.partition(":")[0], _RESERVE[-1])


def paper(theme: Theme) -> str:
    """The background colour of a theme."""
    return _INK[theme]["paper"]


def ink(theme: Theme) -> str:
    """The text colour of a theme."""
    return _INK[theme]["text"]


def config(theme: Theme, *, background: bool = False) -> dict[str, Any]:
    """The Vega-Lite configuration of a theme; transparent unless a `background` is wanted."""
    ink = _INK[theme]
    axis = {
        "labelColor": ink["soft"],
        "titleColor": ink["soft"],
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "gridColor": ink["grid"],
        "domainColor": ink["line"],
        "tickColor": ink["line"],
        "tickSize": 4,
        "labelPadding": 5,
        "titlePadding": 8,
    }
    return {
        "background": ink["paper"] if background else "transparent",
        "font": FONT,
        "padding": 8 if background else 2,
        "view": {"stroke": None},
        "axis": axis,
        "axisY": {"domain": False, "ticks": False},
        "legend": {
            "labelColor": ink["text"],
            "titleColor": ink["soft"],
            "titleFontWeight": "normal",
            "labelFontSize": 12,
            "titleFontSize": 11,
            "orient": "top",
            "direction": "horizontal",
            "symbolSize": 90,
            "columnPadding": 16,
            "labelLimit": 320,
            "symbolBaseFillColor": ink["soft"],
            "symbolBaseStrokeColor": ink["soft"],
        },
        "title": {
            "color": ink["text"],
            "subtitleColor": ink["soft"],
            "anchor": "start",
            "frame": "group",
            "fontSize": 13,
            "fontWeight": 600,
            "subtitleFontSize": 11,
        },
        "concat": {"spacing": 28},
        "text": {"color": ink["text"], "fontSize": 11},
        "rule": {"color": ink["soft"]},
        "line": {"color": ink["soft"]},
        "tick": {"color": ink["text"]},
        "style": {
            "interval": {"stroke": ink["text"], "strokeWidth": 1.2, "opacity": 0.75},
            "value": {"fill": ink["text"], "fontSize": 11},
            "soft": {"fill": ink["soft"], "fontSize": 11},
            "reference": {"stroke": ink["soft"], "strokeDash": [3, 3]},
            "halo": {"stroke": ink["paper"], "strokeWidth": 4},
            "plain": {"stroke": ink["soft"], "strokeWidth": 1.25, "opacity": 1},
        },
    }
