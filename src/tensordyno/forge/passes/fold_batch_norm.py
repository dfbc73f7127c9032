"""Factors and offsets of channels (batch normalisation) go into the weights of a convolution beside them."""

from dataclasses import replace

import numpy as np

from tensordyno.forge.graph import Affine, Array, Convolution, Graph
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Fold each Affine into the convolution or Affine before it, or else into float convolutions after it.

    With a factor f and an offset o:
        f * (W x + b) + o = (f W) x + (f b + o)       f, o of output channels
        W (f x + o) + b = (W f) x + (b + sum W o)     f, o of input channels; no padding, or o = 0
        f2 * (f1 x + o1) + o2 = (f2 f1) x + (f2 o1 + o2)
    Of int8 weights the scales take the factor, and may so become negative. Sums of products are taken in
    float64. Results that are rounded to int8 in between are left alone.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, Affine) and not _fold_up(node, rewriting):
            _fold_down(node, rewriting)
    return rewriting.result()


def _fold_up(affine: Affine, rewriting: Rewriting) -> bool:
    """Fold into what makes the Affine's input, if that is possible."""
    source = affine.inputs[0]
    before = rewriting.producer(source)
    if before is None or not rewriting.is_read_only_by(source, affine):
        return False
    if rewriting.steps(source) is not None:
        return False
    if isinstance(before, Affine):
        factor, offset = before.factor * affine.factor, before.offset * affine.factor + affine.offset
        folded: Affine | Convolution = replace(before, factor=factor, offset=offset, output=affine.output)
    elif isinstance(before, Convolution) and _is_linear(before):
        folded = _scaled_outputs(before, affine)
    else:
        return False
    rewriting.remove(affine)
    rewriting.replace(before, folded)
    return True


def _is_linear(convolution: Convolution) -> bool:
    """Whether its result is W x + b and nothing more."""
    return convolution.clamp is None and not convolution.has_residual


def _scaled_outputs(convolution: Convolution, affine: Affine) -> Convolution:
    factor = affine.factor.astype(np.float64)
    folded = replace(
        convolution, bias=_float32(_bias(convolution) * factor + affine.offset), output=affine.output
    )
    if convolution.weight_scale is not None:
        return replace(folded, weight_scale=_float32(convolution.weight_scale * factor))
    return replace(folded, weight=_float32(convolution.weight * factor[:, None, None, None]))


def _fold_down(affine: Affine, rewriting: Rewriting) -> None:
    """Fold into every convolution that reads the result and can take it; the others still read it."""
    source, result = rewriting.tensor(affine.inputs[0]), rewriting.tensor(affine.output)
    if source.scale is not None or result.scale is not None:
        return
    for reader in rewriting.readers(affine.output):
        if isinstance(reader, Convolution) and reader.inputs[0] == affine.output and _takes(reader, affine):
            rewriting.replace(reader, _scaled_inputs(reader, affine))
    if affine.output != rewriting.output and not rewriting.readers(affine.output):
        rewriting.remove(affine)


def _takes(convolution: Convolution, affine: Affine) -> bool:
    """Padding is zero before the Affine and its offset after it, so there is either none or no offset."""
    return convolution.weight_scale is None and not (any(convolution.pads) and np.any(affine.offset))


def _scaled_inputs(convolution: Convolution, affine: Affine) -> Convolution:
    outputs, inputs = convolution.weight.shape[:2]
    group = np.arange(outputs) // (outputs // convolution.groups)
    channels = group[:, None] * inputs + np.arange(inputs)  # of the image, that each output reads
    factor, offset = (values.astype(np.float64)[channels] for values in (affine.factor, affine.offset))
    weight = convolution.weight * factor[:, :, None, None]
    bias = _bias(convolution) + (convolution.weight.sum(axis=(2, 3), dtype=np.float64) * offset).sum(axis=1)
    inputs_now = (affine.inputs[0], *convolution.inputs[1:])
    return replace(convolution, weight=_float32(weight), bias=_float32(bias), inputs=inputs_now)


def _bias(convolution: Convolution) -> Array:
    return (
        np.zeros(len(convolution.weight)) if convolution.bias is None else convolution.bias.astype(np.float64)
    )


def _float32(values: Array) -> Array:
    return values.astype(np.float32)
