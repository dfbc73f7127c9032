import onnx
import pytest
import torch
from torch import nn

from tensordyno.errors import DataError
from tensordyno.models.count import count_onnx
from tensordyno.models.export import export_onnx
from tensordyno.models.layers import LocalResponseNorm
from tensordyno.models.reference import onnx_logits, torch_logits
from tensordyno.records.model import ModelCard

CARD = ModelCard(name="tiny", input_shape=(3, 8, 8), classes=5)


class Normalised(nn.Sequential):
    def __init__(self):
        super().__init__(
            *(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), LocalResponseNorm(alpha=0.5)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)),
        )


class Branching(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


def test_the_graph_has_our_names_and_nodes_and_nothing_of_this_machine(tmp_path, capfd, recwarn):
    export_onnx(Normalised(), CARD, tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    axes = [
        [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*model.graph.input, *model.graph.output)
    ]
    kinds = [node.op_type for node in model.graph.node]
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("images", "logits")
    assert axes == [["N", 3, 8, 8], ["N", 5]]
    assert kinds.count("LRN") == 1
    assert "BatchNormalization" not in kinds
    assert b"/" + __file__.split("/")[1].encode() not in (tmp_path / "m.onnx").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert capfd.readouterr() == ("", "")
    assert not recwarn


def test_the_lrn_node_computes_what_the_module_does(tmp_path):
    torch.manual_seed(0)
    module = Normalised().eval()
    export_onnx(module, CARD, tmp_path / "m.onnx")
    images = (torch.randn(3, 3, 8, 8) * 5).numpy()
    expected = torch_logits(module, images)
    for n in (1, 3):
        assert abs(onnx_logits(str(tmp_path / "m.onnx"), images[:n]) - expected[:n]).max() < 1e-5
    assert count_onnx(onnx.load(tmp_path / "m.onnx")).macs == 6 * 6 * 6 * 27 + 6 * 5


def test_a_network_that_cannot_be_exported_is_refused_in_one_line(tmp_path):
    with pytest.raises(DataError) as caught:
        export_onnx(Branching(), CARD, tmp_path / "m.onnx")
    assert caught.value.slug == "export-failed"
    assert "tiny" in caught.value.line()
    assert "\n" not in caught.value.line()
    assert not list(tmp_path.iterdir())
