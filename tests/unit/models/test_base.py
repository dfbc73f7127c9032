import subprocess
import sys

import pytest

from tensordyno.errors import UnknownName
from tensordyno.models.base import cards, family_of

ASKED_FOR = {
    *("alexnet", "caffenet", "vgg16", "vgg19", "googlenet", "googlenet_bvlc", "inception_bn", "inception_v3"),
    *(
        "inception_v4",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnet50_v1",
        "resnet50_v2",
    ),
    *("mobilenet_v2", "lenet5_fashion", "resnet8_fashion", "vgg6_fashion"),
    *("alexnet_cifar", "googlenet_cifar", "mobilenet_v2_cifar", "vgg16_cifar"),
    *("resnet20_cifar", "resnet56_cifar", "resnet110_cifar"),
}


def test_every_network_has_a_card():
    assert set(cards()) == ASKED_FOR
    assert cards()["inception_v3"].input_shape == (3, 299, 299)
    assert cards()["vgg6_fashion"].preprocessing.channels == "grey"


def test_cards_are_read_without_pytorch():
    code = "import sys; from tensordyno.models.base import cards; cards(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_nearest_name_is_offered():
    with pytest.raises(UnknownName, match="no model called 'resnet5'") as caught:
        family_of("resnet5")
    assert "resnet50" in caught.value.remedy
    assert "torchvision:NAME" in caught.value.remedy
