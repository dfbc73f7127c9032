from forge_graphs import Network, kinds

from tensordyno.forge.passes.drop_dead import run


def test_whole_branches_go_that_nobody_reads():
    net = Network(2, 4, 4)
    x = net.conv("images", 2)
    net.relu(net.conv(net.mean(x), 3, (1, 1)))
    simple = run(net.graph(net.relu(x)))
    assert kinds(simple) == ["Convolution", "Activation"]
    assert set(simple.tensors) == {"images", *(node.output for node in simple.nodes)}


def test_what_is_read_stays():
    net = Network(2, 4, 4)
    graph = net.graph(net.sum(net.relu("images"), net.conv("images", 2)))
    assert run(graph) is graph
