import pytest
from forge_graphs import Network, check_order, kinds

from tensordyno.forge.graph import Activation, Clamp, Tensor
from tensordyno.forge.passes.rewriting import Rewriting


@pytest.fixture
def graph():
    net = Network(2, 4, 4)
    first = net.conv("images", 2)
    return net.graph(net.sum(net.relu(first), first))


def activation(source, output):
    return Activation(name="new", inputs=(source,), output=output, clamp=Clamp())


def test_a_graph_that_nothing_changed_is_the_very_same(graph):
    rewriting = Rewriting(graph)
    list(rewriting.nodes())
    assert rewriting.result() is graph


def test_readers_stand_in_order_and_know_who_is_alone(graph):
    rewriting = Rewriting(graph)
    conv, relu, total = rewriting.nodes()
    assert rewriting.readers(conv.output) == [relu, total]
    assert not rewriting.is_read_only_by(conv.output, relu)
    assert rewriting.is_read_only_by(relu.output, total)
    assert rewriting.readers(total.output) == []
    assert rewriting.producer("images") is None and rewriting.producer(relu.output) is relu


def test_the_logits_are_read_by_the_user_too(graph):
    rewriting = Rewriting(graph)
    total = rewriting.producer(graph.output)
    rewriting.insert(activation(graph.output, "more"), total, after=True)
    assert not rewriting.is_read_only_by(graph.output, rewriting.producer("more"))


@pytest.mark.parametrize("after", [True, False])
def test_inserted_nodes_stand_beside_their_neighbour(graph, after):
    rewriting = Rewriting(graph)
    conv, relu, total = rewriting.nodes()
    made = rewriting.new_tensor(conv.output, None, "clamped")
    rewriting.insert(activation(conv.output, made), conv if after else relu, after=after)
    rewriting.reread(relu, conv.output, made)
    changed = rewriting.result()
    check_order(changed)
    assert [node.output for node in changed.nodes] == [conv.output, made, relu.output, total.output]


def test_a_replaced_node_keeps_its_place_and_the_old_readers_are_forgotten(graph):
    rewriting = Rewriting(graph)
    conv, relu, total = rewriting.nodes()
    rewriting.redirect(relu.output, conv.output)
    assert rewriting.readers(relu.output) == []
    rewriting.remove(relu)
    changed = rewriting.result()
    check_order(changed)
    assert kinds(changed) == ["Convolution", "Add"] and changed.nodes[1].inputs == (conv.output, conv.output)
    assert rewriting.comes_before(conv, total) and not rewriting.comes_before(total, conv)


def test_new_tensors_get_names_of_their_own_and_the_format_asked_for(graph):
    rewriting = Rewriting(graph)
    names = [rewriting.new_tensor("images", (0.5, True), "int8") for _ in range(2)]
    assert len({*names, "images"}) == 3
    assert rewriting.tensor(names[0]) == Tensor(names[0], (2, 4, 4), 0.5, True)
    assert rewriting.steps(names[0]) == (0.5, True) and rewriting.steps("images") is None
