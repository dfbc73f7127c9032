from itertools import pairwise

import onnx
import pytest

from tensordyno.quantize.look import Seen
from tensordyno.quantize.probes import NAME, Probes
from tensordyno.quantize.sampling import WHOLE, flat_stride, grid_strides, kept_of_grid

PLANES, ODD, LINE = (64, 56, 56), (24, 56, 56), (197, 768)


def probes_of(*seen):
    probes = Probes([Seen(f"t{n}", shape, 1, floor=floor) for n, (shape, floor) in enumerate(seen)], 4)
    return probes, onnx.load_from_string(probes.addition()).graph


def operations(graph):
    return [node.op_type for node in graph.node]


def width(part):
    return part.stop - part.start


@pytest.mark.parametrize("shape", [(10,), (WHOLE,), (8, 32, 32)])
def test_a_small_tensor_leaves_as_it_is(shape):
    probes, graph = probes_of((shape, False))
    (probe,) = probes.probes
    assert (probe.kept, probe.highs, probe.lows) == (None, None, None)
    assert operations(graph) == ["Reshape", "Concat"]


def test_of_planes_a_grid_leaves_and_two_extremes_a_channel():
    (probe,) = probes_of((PLANES, False))[0].probes
    down, right = grid_strides(PLANES)
    assert width(probe.sample) == 64 * len(range(0, 56, down)) * len(range(0, 56, right))
    assert len(probe.kept) == len(kept_of_grid(PLANES))
    assert (width(probe.highs), width(probe.lows)) == (64, 64)


def test_of_other_large_tensors_every_nth_value_leaves():
    (probe,) = probes_of((LINE, False))[0].probes
    assert probe.kept is None
    assert width(probe.sample) == len(range(0, 197 * 768, flat_stride(LINE)))


def test_nothing_looks_for_the_smallest_value_where_it_is_known():
    probes, graph = probes_of((PLANES, True))
    assert probes.probes[0].lows is None
    assert operations(graph).count("GlobalMaxPool") == 1


@pytest.mark.parametrize(("shape", "negation"), [(PLANES, "Conv"), (ODD, "Neg"), (LINE, "Neg")])
def test_negation_stays_in_the_blocked_layout_where_there_is_one(shape, negation):
    _, graph = probes_of((shape, False))
    maker = {node.output[0]: node for node in graph.node}
    pools = [node for node in graph.node if node.op_type == "GlobalMaxPool"]
    assert negation in {maker[pool.input[0]].op_type for pool in pools if pool.input[0] in maker}


def test_the_parts_lie_side_by_side_without_gap_or_overlap():
    probes, graph = probes_of((PLANES, True), ((10,), False), (LINE, False))
    parts = [part for p in probes.probes for part in (p.sample, p.highs, p.lows) if part is not None]
    assert parts[0].start == 0
    assert all(one.stop == other.start for one, other in pairwise(parts))
    assert graph.output[0].name == NAME
    assert len(graph.node[-1].input) == len(parts)


def test_probes_of_early_tensors_are_the_newest():
    """ONNX Runtime walks back from the output to the newest node first."""
    _, graph = probes_of((PLANES, False), (PLANES, False), (PLANES, False))
    read = [name for node in graph.node for name in node.input if name in ("t0", "t1", "t2")]
    assert read == sorted(read, reverse=True)


def test_tensors_of_one_shape_share_their_constants():
    _, once = probes_of((PLANES, False))
    _, thrice = probes_of((PLANES, False), (PLANES, False), (PLANES, True))
    assert len(thrice.initializer) == len(once.initializer)
