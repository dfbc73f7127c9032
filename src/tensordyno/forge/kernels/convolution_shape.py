"""A convolution as its kernels are compiled for it: sizes, places in memory, and how its weights lie."""

from dataclasses import dataclass, replace

from tensordyno.forge.graph import Convolution
from tensordyno.forge.program import CHANNEL_GRAIN, Format, Operation, View
from tensordyno.vocabulary import Precision

_NARROWEST_GROUP = 32  # input channels that a slice of the matrix unit takes at least
INTEGERS = (Format.INT8, Format.UINT8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Channels are those of one of `groups` groups; pitches count elements, bounds pixels.

    Weights are (groups, out_channels, row_pitch): in each row tap after tap, `tap_pitch` elements apart, with
    zeros behind the channels of each tap and behind the last tap.
    """

    height: int
    width: int
    channels: int
    readable: int  # elements of a pixel, from a group's first on, that may be read and multiplied by zero
    pitch: int
    out_height: int
    out_width: int
    out_channels: int
    out_pitch: int
    residual_pitch: int
    groups: int
    kernel_height: int
    kernel_width: int
    stride_height: int
    stride_width: int
    dilation_height: int
    dilation_width: int
    top: int
    left: int
    tap_pitch: int
    row_pitch: int

    @property
    def taps(self) -> int:
        """Pixels that each output sees."""
        return self.kernel_height * self.kernel_width

    @property
    def has_border(self) -> bool:
        """Whether a window may reach outside the image."""
        below = (self.out_height - 1) * self.stride_height + (self.kernel_height - 1) * self.dilation_height
        right = (self.out_width - 1) * self.stride_width + (self.kernel_width - 1) * self.dilation_width
        inside = below - self.top < self.height and right - self.left < self.width
        return self.top > 0 or self.left > 0 or not inside

    @property
    def is_pointwise(self) -> bool:
        """Whether output pixel i sees pixel i of the input and nothing else."""
        same = (self.height, self.width) == (self.out_height, self.out_width)
        return self.taps == 1 and same and not self.has_border


def shape_of(operation: Operation) -> Shape:
    """The shape of an operation whose node is a convolution, narrow groups merged."""
    node, image, output = operation.node, operation.inputs[0], operation.output
    assert isinstance(node, Convolution)
    groups = merged_groups(node)
    channels = image.channels // groups
    taps = node.weight.shape[2] * node.weight.shape[3]
    tap_pitch = _tap_pitch(channels, taps)
    return Shape(
        height=image.height,
        width=image.width,
        channels=channels,
        readable=_readable(image, channels, tap_pitch, operation.precision),
        pitch=image.pitch,
        out_height=output.height,
        out_width=output.width,
        out_channels=output.channels // groups,
        out_pitch=output.pitch,
        residual_pitch=operation.inputs[1].pitch if node.has_residual else 0,
        groups=groups,
        kernel_height=node.weight.shape[2],
        kernel_width=node.weight.shape[3],
        stride_height=node.stride[0],
        stride_width=node.stride[1],
        dilation_height=node.dilation[0],
        dilation_width=node.dilation[1],
        top=node.pads[0],
        left=node.pads[1],
        tap_pitch=tap_pitch,
        row_pitch=_padded(taps * tap_pitch),
    )


def merged_groups(node: Convolution) -> int:
    """Into how many groups a kernel divides the channels: fewer than the node, where its groups are narrow.

    Neighbouring groups become one whose weights between them are zero. A matrix unit multiplies 32 channels
    at a time anyway, so that this costs nothing up to there, and its operands become whole vectors. Channels
    of other groups are multiplied by zero: where one is infinite or NaN, so is the sum.
    """
    inputs = node.weight.shape[1]
    counts = [count for count in range(1, node.groups + 1) if node.groups % count == 0]
    wide = [count for count in counts if count * inputs >= _NARROWEST_GROUP] or counts[-1:]
    aligned = [count for count in wide if count * inputs % CHANNEL_GRAIN == 0]
    return node.groups // (wide if inputs >= _NARROWEST_GROUP or not aligned else aligned)[0]


def channel_shape_of(operation: Operation) -> Shape:
    """The shape of a depthwise convolution for kernels that treat each channel by itself: one wide group."""
    channels = operation.output.channels
    sizes = {"channels": channels, "readable": channels, "out_channels": channels}
    return replace(shape_of(operation), groups=1, tap_pitch=channels, row_pitch=0, **sizes)


def _tap_pitch(channels: int, taps: int) -> int:
    """Whole vectors for each tap; few channels of many taps stand side by side."""
    is_dense = taps > 1 and channels < CHANNEL_GRAIN
    return channels if is_dense or channels % 8 == 0 else _padded(channels)


def _readable(image: View, channels: int, tap_pitch: int, precision: Precision) -> int:
    """Integers may be anything where weights are zero; real numbers may be NaN, which zero does not hide."""
    is_whole = channels == image.channels and image.first + tap_pitch <= image.pitch
    return tap_pitch if precision is Precision.INT8 and is_whole else channels


def _padded(elements: int) -> int:
    return -(-elements // CHANNEL_GRAIN) * CHANNEL_GRAIN
