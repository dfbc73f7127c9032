"""Operations write and read int8 themselves, without Quantize and Dequantize between them."""

from dataclasses import replace

from tensordyno.forge.graph import Convolution, Dequantize, Graph, Node, Quantize
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Take Quantize into what comes before it and Dequantize into what comes after it.

    A node whose result only a Quantize reads writes those integers. The image is int8 from the start if
    only a Quantize reads it: whoever brings it divides by the scale and rounds. A node that reads a
    Dequantize reads its integers: a convolution of int8 weights then sums integers, any other operation takes
    scale * integer. What stays: a tensor that is read both ways is kept both ways, a convolution of float
    weights works on real numbers, and logits that are real stay so.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, Quantize):
            _into_producer(node, rewriting)
        elif isinstance(node, Dequantize):
            _into_readers(node, rewriting)
    return rewriting.result()


def _into_producer(quantize: Quantize, rewriting: Rewriting) -> None:
    source = quantize.inputs[0]
    if not rewriting.is_read_only_by(source, quantize) or rewriting.steps(source) is not None:
        return
    producer = rewriting.producer(source)
    if isinstance(producer, Dequantize):
        return  # two roundings, of two scales or of one: `cancel_quantization` decides
    if producer is not None:
        rewriting.remove(quantize)
        rewriting.replace(producer, replace(producer, output=quantize.output))
    elif quantize.output != rewriting.output:
        integers = rewriting.tensor(quantize.output)
        rewriting.set_tensor(replace(integers, name=source))
        rewriting.remove(quantize)
        rewriting.redirect(quantize.output, source)


def _into_readers(dequantize: Dequantize, rewriting: Rewriting) -> None:
    for reader in rewriting.readers(dequantize.output):
        if _reads_integers(reader):
            rewriting.reread(reader, dequantize.output, dequantize.inputs[0])
    if dequantize.output != rewriting.output and not rewriting.readers(dequantize.output):
        rewriting.remove(dequantize)


def _reads_integers(reader: Node) -> bool:
    if isinstance(reader, Convolution):
        return reader.weight_scale is not None
    return not isinstance(reader, Quantize)
