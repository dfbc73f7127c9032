"""Colours: fixed for ever, told apart by colour-blind readers, visible on white and on near-black."""

import itertools
import json

import numpy as np
import pytest

from tensordyno.figures import style

# Machado, Oliveira & Fernandes (2009), severity 1.0, on linear RGB
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Ottosson (2020), "A perceptual color space for image processing": linear sRGB -> LMS -> Oklab
TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def oklab(colour, vision):
    seen = np.clip(np.array(VISION[vision]) @ linear(colour), 0, 1)
    return TO_LAB @ np.cbrt(TO_LMS @ seen)


def luminance(colour):
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("vision", VISION)
def test_the_four_engines_of_a_cpu_are_told_apart_by_everyone(vision):
    names = ("torch", "torch-compile", "onnxruntime", "openvino")
    seen = [oklab(style.ENGINE_COLOURS[name], vision) for name in names]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 0.05  # a just noticeable difference is about 0.02


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("engine", style.ENGINE_COLOURS)
def test_every_engine_is_visible_on_both_papers(engine, theme):
    assert contrast(style.engine_colour(engine), style.paper(theme)) > 2.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_reaches_the_contrast_of_wcag_aa(theme):
    made = style.config(theme)
    assert contrast(style.ink(theme), style.paper(theme)) > 7
    assert contrast(made["axis"]["labelColor"], style.paper(theme)) > 4.5


def test_known_engines_keep_their_colours_for_ever():
    expected = {
        "torch": "#d55e00",
        "torch-compile": "#aa4499",
        "onnxruntime": "#0072b2",
        "openvino": "#009e73",
    }
    assert {name: style.engine_colour(name) for name in expected} == expected


def test_an_unknown_engine_gets_the_same_colour_in_every_process():
    assert style.engine_colour("tvm") == "#5f8a1f"
    assert style.engine_colour("tvm") not in style.ENGINE_COLOURS.values()


def test_options_of_an_engine_do_not_change_its_colour_nor_does_company():
    alone = style.engine_scale([("openvino", "openvino")])
    together = style.engine_scale(
        [("torch", "torch"), ("openvino(streams=2)", "openvino"), ("openvino", "openvino")]
    )
    assert alone["range"] == ["#009e73"]
    assert dict(zip(together["domain"], together["range"], strict=True)) == {
        "openvino": "#009e73",
        "openvino(streams=2)": "#009e73",
        "torch": "#d55e00",
    }


def test_precisions_have_shapes_of_their_own():
    scale = style.precision_scale(["int8", "fp32", "new"])
    assert scale == {"domain": ["fp32", "int8", "new"], "range": ["circle", "diamond", "stroke"]}


def test_a_configuration_is_json_with_a_background_only_when_wanted():
    assert json.loads(json.dumps(style.config("dark")))["background"] == "transparent"
    assert style.config("dark", background=True)["background"] == style.paper("dark")


@pytest.mark.parametrize("vision", VISION)
def test_calibration_methods_are_told_apart_by_everyone(vision):
    seen = [oklab(colour, vision) for colour in style.METHOD_COLOURS.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.05


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("colour", [*style.METHOD_COLOURS.values(), *style.LAYER_COLOURS.values()])
def test_methods_and_layers_are_visible_on_both_papers(colour, theme):
    assert contrast(colour, style.paper(theme)) > 3.5
    assert colour not in style.ENGINE_COLOURS.values()


def test_a_percentile_of_any_height_has_the_colour_of_percentiles():
    assert style.method_colour("percentile:99.9") == style.METHOD_COLOURS["percentile"]
    assert style.method_colour("unheard") not in style.METHOD_COLOURS.values()
