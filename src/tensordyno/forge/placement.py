"""Where tensors lie: which share a storage, so that concatenations cost nothing, and how wide each one is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from tensordyno.forge.aliases import aliases, image_shape
from tensordyno.forge.graph import Concat, Graph, Tensor
from tensordyno.forge.program import CHANNEL_GRAIN, Format, View


@dataclass(frozen=True)
class Placement:
    """A view for every tensor of a graph, and the bytes of each storage for one image."""

    views: Mapping[str, View]
    storages: Mapping[str, int]


def place(graph: Graph, real: Format) -> Placement:
    """Find a place for every tensor; `real` is the format of what has no scale, the logits excepted.

    An input of a concatenation is made where the concatenation will stand, if it has the same format and
    scale and stands in no other one. The image and the logits keep storages of their own.
    Raises Unsupported (see `aliases`).
    """
    placing = _Placing(graph, real)
    views = {name: placing.view(name) for name in graph.tensors}
    sizes = {name: _bytes(placing.whole(name)) for name in placing.storages()}
    return Placement(MappingProxyType(views), MappingProxyType(sizes))


def reshaped(view: View, shape: tuple[int, ...]) -> View:
    """The same bytes as a tensor of another shape, one that `aliases` allows."""
    channels, height, width = image_shape(shape)
    pitch = view.pitch if channels == view.channels else channels  # pixels without gaps, or one pixel
    return replace(view, channels=channels, height=height, width=width, pitch=pitch)


@dataclass(frozen=True)
class _Slot:
    """A place among the channels of a concatenation."""

    concat: str
    first: int


class _Placing:
    """Decisions first (formats, slots), views by following the slots outwards."""

    def __init__(self, graph: Graph, real: Format) -> None:
        self._graph = graph
        self._originals = aliases(graph)
        self._concats = {node.output: node for node in graph.nodes if isinstance(node, Concat)}
        self._formats = {name: _format(tensor, real) for name, tensor in graph.tensors.items()}
        self._formats[self._originals[graph.output]] = Format.FP32
        self._slots: dict[str, _Slot] = {}
        for concat in self._concats.values():
            self._place_inputs(concat)

    def view(self, name: str) -> View:
        """Where a tensor lies."""
        original = self._originals[name]
        if original not in self._slots:
            return reshaped(self.whole(original), self._graph.tensor(name).shape)
        slot, tensor = self._slots[original], self._graph.tensor(name)
        channels, height, width = image_shape(tensor.shape)
        around = self.view(slot.concat)
        first = around.first + slot.first
        return replace(around, channels=channels, height=height, width=width, first=first)

    def storages(self) -> list[str]:
        """The tensors that have a storage of their own, which bears their name."""
        return [
            name for name, original in self._originals.items() if name == original and name not in self._slots
        ]

    def whole(self, name: str) -> View:
        """All of a storage, but for the padding of its pitch."""
        tensor = self._graph.tensor(name)
        channels, height, width = image_shape(tensor.shape)
        pitch = channels if name == self._graph.input else self._pitch(name, channels)
        return View(
            storage=name,
            format=self._formats[name],
            height=height,
            width=width,
            channels=channels,
            pitch=pitch,
            scale=tensor.scale,
        )

    def _place_inputs(self, concat: Concat) -> None:
        first = 0
        for name in concat.inputs:
            original = self._originals[name]
            if self._fits(original, concat.output):
                self._slots[original] = _Slot(concat.output, first)
            first += image_shape(self._graph.tensor(name).shape)[0]

    def _fits(self, original: str, concat: str) -> bool:
        """Whether a tensor may be made in the storage of a concatenation."""
        if original in self._slots or original in (self._graph.input, self._originals[self._graph.output]):
            return False
        stored, wanted = self._graph.tensor(original), self._graph.tensor(concat)
        return (self._formats[original], stored.scale) == (self._formats[concat], wanted.scale)

    def _pitch(self, name: str, channels: int) -> int:
        """Elements from pixel to pixel, whole groups of channels.

        `View.is_whole` tells by the pitch whether a view from channel 0 on is alone: where fewer than a group
        of channels follow on a concatenation's first input, another group is left empty so that it is not.
        """
        pitch = -(-channels // CHANNEL_GRAIN) * CHANNEL_GRAIN
        first = self._first_part(name, channels)
        return pitch + CHANNEL_GRAIN if first < channels and pitch < first + CHANNEL_GRAIN else pitch

    def _first_part(self, name: str, channels: int) -> int:
        """Channels of the first input of a concatenation, or of the one that is its only input."""
        while name in self._concats:
            name = self._concats[name].inputs[0]
            first = image_shape(self._graph.tensor(name).shape)[0]
            if first < channels:
                return first
            name = self._originals[name]
        return channels


def _format(tensor: Tensor, real: Format) -> Format:
    if tensor.scale is None:
        return real
    return Format.UINT8 if tensor.unsigned else Format.INT8


def _bytes(view: View) -> int:
    return view.pixels * view.pitch * view.format.width_bytes
