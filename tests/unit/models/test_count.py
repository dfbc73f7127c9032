"""Parameters and MACs against published values; each row says where its value is from."""

import pytest
import torch

from tensordyno.models.base import cards
from tensordyno.models.count import count
from tensordyno.models.resolve import build_definition

TORCHVISION = "torchvision 0.28, num_params and _ops of the weights' metadata"
TIMM = "timm 1.0 results table: param_count and GMACs"

PUBLISHED = {
    # name: parameters, GMAC, digits of the published GMAC, source
    "alexnet": (61_100_840, 0.714, 3, TORCHVISION),
    "vgg16": (138_357_544, 15.470, 3, TORCHVISION),
    "vgg19": (143_667_240, 19.632, 3, TORCHVISION),
    "googlenet": (6_624_904, 1.498, 3, TORCHVISION),
    "inception_v3": (27_161_264 - 3_326_696, 5.713, 3, f"{TORCHVISION}, less its auxiliary classifier"),
    "resnet18": (11_689_512, 1.814, 3, TORCHVISION),
    "resnet34": (21_797_672, 3.664, 3, TORCHVISION),
    "resnet50": (25_557_032, 4.089, 3, TORCHVISION),
    "resnet101": (44_549_160, 7.801, 3, TORCHVISION),
    "resnet152": (60_192_808, 11.514, 3, TORCHVISION),
    "mobilenet_v2": (3_504_872, 0.301, 3, TORCHVISION),
    "inception_v4": (42_679_816, 12.28, 1, TIMM),
    "resnet50_v2": (25_549_352, 4.11, 1, f"{TIMM} (resnetv2_50)"),
    "resnet50_v1": (25_557_032, 3.8, 0, "He et al. 2015, Table 1 (3.8e9); parameters as v1.5"),
    "caffenet": (60_965_224, 0.72, 2, "BVLC CaffeNet's deploy.prototxt, summed by Netscope"),
    "googlenet_bvlc": (6_998_552, 1.58, 2, "BVLC GoogLeNet's deploy.prototxt, summed by Netscope"),
    "inception_bn": (11_295_240, 2.0, 1, "Cadene's pretrained-models: bninception; Ioffe and Szegedy 2015"),
    "lenet5_fashion": (61_706, 0.000417, 6, "by hand: 156+2416+48120+10164+850; MACs below"),
}

# He et al. 2015 (arXiv 1512.03385), Table 6, in millions, for shortcuts without weights; ours project
IN_THE_PAPER = {"resnet20_cifar": 0.27, "resnet56_cifar": 0.85, "resnet110_cifar": 1.7}


@pytest.mark.parametrize("name", PUBLISHED)
def test_cost_is_the_published_one(name):
    parameters, gmac, digits, source = PUBLISHED[name]
    with torch.device("meta"):
        cost = count(build_definition(name, cards()[name].classes), cards()[name].input_shape)
    assert cost.parameters == parameters, source
    assert cost.macs / 1e9 == pytest.approx(gmac, abs=0.51 * 10**-digits), source


@pytest.mark.parametrize("name", IN_THE_PAPER)
def test_small_resnets_have_the_papers_parameters_and_two_projections(name):
    module = build_definition(name, 10)
    projections = sum(p.numel() for n, p in module.named_parameters() if ".d." in n)
    assert projections == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    own = sum(p.numel() for p in module.parameters()) - projections
    assert own / 1e6 == pytest.approx(IN_THE_PAPER[name], rel=0.02)


def test_macs_of_lenet_by_hand():
    with torch.device("meta"):
        module = build_definition("lenet5_fashion", 10)
    convolutions = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150
    linears = 400 * 120 + 120 * 84 + 84 * 10
    assert count(module, (1, 28, 28)).macs == convolutions + linears


def test_counting_a_real_module_gives_the_same():
    module = build_definition("vgg6_fashion", 10)
    with torch.device("meta"):
        expected = count(build_definition("vgg6_fashion", 10), (1, 28, 28))
    assert count(module, (1, 28, 28)) == expected
