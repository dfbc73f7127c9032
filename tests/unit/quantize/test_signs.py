from random_networks import Network

from tensordyno.quantize.signs import never_negative


def test_signs_follow_from_the_operations():
    network = Network(1)
    signed = network.conv("images", 4)
    relu = network.node("Relu", [signed])
    held = network.clip(signed, -1.0, 1.0)
    relu6 = network.clip(signed, 0.0, 6.0)
    kept = [
        network.max_pool(relu),
        network.average_pool(relu),
        network.concat(relu, relu6),
        network.node("Add", [relu, relu6]),
        network.node("LRN", [relu], size=3),
        network.node("Sigmoid", [signed]),
    ]
    lost = [
        network.node("Add", [relu, signed]),
        network.node("Add", [relu, network.constant(network.normal(1))]),
        network.concat(relu, signed),
        network.max_pool(signed),
        network.conv(relu, 4),
    ]
    network.head(relu)
    found = never_negative(network.model().graph)
    assert {relu, relu6, *kept} <= found
    assert not found & {"images", signed, held, *lost}
