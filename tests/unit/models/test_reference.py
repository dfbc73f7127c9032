import numpy as np
import torch
from torch import nn

from tensordyno.models.reference import torch_logits


class Recorder(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append((len(x), torch.get_float32_matmul_precision(), torch.is_inference_mode_enabled()))
        return x.mean((2, 3))


def test_images_go_through_in_small_batches_in_strict_precision():
    module, images = Recorder(), np.random.default_rng(0).random((19, 2, 3, 3), np.float32)
    torch.set_float32_matmul_precision("medium")
    try:
        logits = torch_logits(module, images)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert [seen[0] for seen in module.seen] == [8, 8, 3]
    assert all(seen[1:] == ("highest", True) for seen in module.seen)
    np.testing.assert_allclose(logits, images.mean((2, 3)), rtol=1e-6)
    assert logits.dtype == np.float32
