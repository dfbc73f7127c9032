"""A network's facts: what goes in, what comes out, what it costs, where its weights came from."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tensordyno.records.base import Record
from tensordyno.vocabulary import WeightsKind


class Preprocessing(Record, frozen=True, kw_only=True):
    """How an image becomes an input; always stored with the model, never assumed.

    Resized (bilinear, antialiased), cropped in the centre to the network's input, then pixels are scaled
    to 0..1, then (pixel - mean) / std for each channel, in the given channel order.
    """

    resize: int | None = None  # shorter side in pixels before the crop; None: resize to the input exactly
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: str = "rgb"  # rgb, bgr or grey
    layout: str = "nchw"  # of the network's own input; "nhwc" files are read through a transpose


class PreprocessingChange(Record, frozen=True, kw_only=True):
    """What a user wants of preprocessing that differs from the network's own; the rest stays as it is."""

    resize: int | UnsetType | None = UNSET
    mean: tuple[float, ...] | UnsetType = UNSET
    std: tuple[float, ...] | UnsetType = UNSET
    channels: str | UnsetType = UNSET
    layout: str | UnsetType = UNSET

    def applied_to(self, own: Preprocessing) -> Preprocessing:
        """The network's own preprocessing with these changes."""
        return msgspec.structs.replace(own, **self.wanted())

    def wanted(self) -> dict[str, Any]:
        """The settings that are changed, with their values."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in fields.items() if value is not UNSET}


class ModelCard(Record, frozen=True, kw_only=True):
    """What is known of a network before it is built (a literal in its family's file)."""

    name: str
    input_shape: tuple[int, int, int] = (3, 224, 224)  # channels, height, width
    classes: int = 1000
    dataset: str = "synthetic"  # what it runs on when nothing else is said
    preprocessing: Preprocessing = Preprocessing()
    weights: str | None = None  # packaged weights file


class ModelFacts(Record, frozen=True, kw_only=True):
    """A prepared network.

    For one image `macs` counts multiply-accumulates, `activations` the elements that layers read and write.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    parameters: int
    macs: int
    weights: WeightsKind
    weights_hash: str
    preprocessing: Preprocessing
    source: str = ""  # file or package it came from
    quantized: bool = False  # the file holds Q/DQ nodes already: it can only run in INT8
    int8_layers: int = 0  # of such a file
    activations: int = 0  # see models.traffic; 0: unknown
