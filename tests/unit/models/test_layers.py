import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tensordyno.models.layers import Concat, ConvNormRelu, LocalResponseNorm


@given(
    channels=st.integers(1, 12),
    size=st.sampled_from([3, 5, 7]),
    alpha=st.floats(1e-5, 1e-2),
    beta=st.floats(0.25, 1.0),
    scale=st.floats(0.1, 200),
)
def test_local_response_norm_is_pytorchs(channels, size, alpha, beta, scale):
    x = torch.randn((2, channels, 3, 4), generator=torch.Generator().manual_seed(0)) * scale
    expected = F.local_response_norm(x, size, alpha, beta, k=1.0)
    torch.testing.assert_close(LocalResponseNorm(size, alpha, beta)(x), expected, rtol=1e-5, atol=1e-6)


def test_local_response_norm_runs_in_bfloat16():
    x = torch.randn((1, 8, 5, 5), generator=torch.Generator().manual_seed(0)) * 50
    exact, rounded = LocalResponseNorm()(x), LocalResponseNorm()(x.bfloat16())
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.03, atol=0.05)


def test_concat_joins_channels_in_the_order_given():
    joined = Concat(b=nn.Identity(), a=nn.Threshold(1e9, 7.0))
    y = joined(torch.zeros(1, 2, 3, 3))
    assert y[0, :, 0, 0].tolist() == [0, 0, 7, 7]
    assert [name for name, _ in joined.named_children()] == ["b", "a"]


def test_conv_norm_relu_pads_and_strides_and_never_answers_below_zero():
    layer = ConvNormRelu(3, 5, (1, 7), stride=2, padding=(0, 3)).eval()
    y = layer(torch.randn(2, 3, 9, 9))
    assert y.shape == (2, 5, 5, 5)
    assert y.min() == 0
