import onnx
import pytest
from hypothesis import given
from random_networks import Network, networks

from tensordyno.errors import DataError, UnknownName
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.placement import place


def opened(network, folder):
    onnx.save(network.model(), folder / "net.onnx")
    return open_graph(folder / "net.onnx")


@pytest.fixture
def residual(tmp_path):
    network = Network(1)
    x = network.node("Relu", [network.conv("images", 8)])
    y = network.node("Relu", [network.conv(x, 8)])
    network.head(network.node("Relu", [network.node("Add", [network.conv(y, 8), x])]), hidden=True)
    return opened(network, tmp_path)


def named(graph, kind):
    return [node for node in graph.graph.node if node.op_type == kind]


def test_every_layer_is_int8_and_nothing_between_is_float(residual):
    placement = place(residual)
    assert len(placement.layers) == 5
    assert placement.kept == {} and placement.other_fp32 == {}


def test_relus_are_taken_along_and_the_logits_are_not_rounded(residual):
    tensors = place(residual).tensors
    relus = {node.input[0] for node in named(residual, "Relu")}
    assert not relus & set(tensors)
    assert "images" in tensors and "logits" not in tensors


def test_both_sides_of_a_sum_and_its_result_have_ranges_of_their_own(residual):
    (add,) = named(residual, "Add")
    groups = place(residual).groups
    result = next(node.output[0] for node in named(residual, "Relu") if node.input[0] == add.output[0])
    for name in (*add.input, result):
        assert (name,) in groups


def test_one_layer_alone(residual):
    alone = place(residual, only=[place(residual).layers[1]])
    assert len(alone.layers) == 1 and len(alone.kept) == 4
    assert set(alone.kept.values()) == {"another layer is under test"}
    assert len(alone.tensors) == 2
    assert alone.other_fp32 == {"Relu": 3, "Add": 1, "GlobalAveragePool": 1}


def test_layers_that_stay_are_named_with_the_reason(residual):
    layers = place(residual).layers
    placement = place(residual, keep=[layers[2]], first_layer=False, last_layer=False)
    assert placement.kept == {
        layers[0]: "the first layer was asked to stay",
        layers[2]: "it was asked for",
        layers[-1]: "the last layer was asked to stay",
    }
    assert placement.layers == (layers[1], layers[3])


def test_a_sum_with_a_float_side_is_float(residual):
    (add,) = named(residual, "Add")
    before = next(node.name for node in named(residual, "Conv") if node.output[0] == add.input[0])
    assert "Add" in place(residual, keep=[before]).other_fp32


@given(network=networks())
def test_fewer_layers_never_need_other_tensors(network, tmp_path_factory):
    graph = opened(network, tmp_path_factory.mktemp("net"))
    whole = place(graph)
    assert len(whole.tensors) == len(set(whole.tensors))
    for name in whole.layers:
        for less in (place(graph, only=[name]), *([place(graph, keep=[name])] if whole.layers[1:] else [])):
            assert set(less.tensors) <= set(whole.tensors)


def test_a_concat_and_its_branches_share_one_range(tmp_path):
    network = Network(2)
    x = network.node("Relu", [network.conv("images", 8)])
    joined = network.concat(network.node("Relu", [network.conv(x, 4)]), network.max_pool(x))
    network.head(joined)
    placement = place(opened(network, tmp_path))
    (shared,) = [group for group in placement.groups if joined in group]
    assert len(shared) == 4 and x in shared
    # the values of the branches stand in their concat; x holds values that its max-pool dropped
    assert [name for name in shared if name not in placement.repeats] == [x, joined]


def test_what_a_max_pool_gives_was_counted_before_it(tmp_path):
    network = Network(2)
    x = network.node("Relu", [network.conv("images", 8)])
    pooled = network.max_pool(x)
    network.head(network.node("Relu", [network.conv(pooled, 8)]))
    placement = place(opened(network, tmp_path))
    assert pooled in placement.repeats and x not in placement.repeats


@given(network=networks())
def test_every_group_has_a_member_with_values_of_its_own(network, tmp_path_factory):
    placement = place(opened(network, tmp_path_factory.mktemp("net")))
    for group in placement.groups:
        assert set(group) - placement.repeats


def test_lrn_stays_float_and_is_listed(tmp_path):
    network = Network(3)
    x = network.max_pool(network.node("Relu", [network.conv("images", 8)]))
    x = network.node("LRN", [x], size=5)
    network.head(network.node("Relu", [network.conv(x, 8)]))
    graph = opened(network, tmp_path)
    placement = place(graph)
    assert placement.other_fp32 == {"LRN": 1}
    assert len(placement.layers) == 3
    (lrn,) = named(graph, "LRN")
    assert {*lrn.input, *lrn.output} <= set(placement.tensors)


def test_a_decomposed_lrn_stays_float_whole(tmp_path):
    network = Network(3)
    x = network.node("Relu", [network.conv("images", 8)])
    squares = network.node("Mul", [x, x])
    mean = network.node("AveragePool", [squares], kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)
    root = network.node("Sqrt", [mean])
    network.head(network.conv(network.node("Div", [x, root]), 8))
    placement = place(opened(network, tmp_path))
    assert placement.other_fp32 == {"Mul": 1, "AveragePool": 1, "Sqrt": 1, "Div": 1}
    assert not {squares, mean, root} & set(placement.tensors)


def test_a_layer_with_computed_weights_stays(tmp_path):
    network = Network(4)
    x = network.conv("images", 3)
    squeezed = network.node("ReduceMean", ["images"], axes=[0], keepdims=1)
    weights = network.node("Mul", [network.constant(network.normal(3, 3, 8, 8)), squeezed])
    network.head(network.node("Conv", [x, weights], channels=3, pads=[4] * 4))
    assert list(place(opened(network, tmp_path)).kept.values()) == ["its weights are computed"]


def test_nothing_to_quantize(tmp_path):
    network = Network(5, channels=1)
    x = network.node("AveragePool", ["images"], kernel_shape=[8, 4], strides=[1, 1])
    network.node("Flatten", [x], result="logits")
    graph = opened(network, tmp_path)
    with pytest.raises(DataError) as caught:
        place(graph)
    assert caught.value.slug == "nothing-to-quantize"


def test_everything_kept_is_nothing_to_quantize(residual):
    with pytest.raises(DataError, match="asked") as caught:
        place(residual, keep=place(residual).layers)
    assert caught.value.slug == "nothing-to-quantize"


def test_an_unknown_layer_is_an_error_with_the_nearest_names(residual):
    layer = place(residual).layers[0]
    with pytest.raises(UnknownName) as caught:
        place(residual, keep=[layer + "x"])
    assert caught.value.slug == "unknown-layer" and layer in caught.value.line()
