import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tensordyno.errors import DataError
from tensordyno.models.base import cards
from tensordyno.models.resolve import build_definition
from tensordyno.models.weights import initialise, load_checkpoint


def random_network(name, seed=0):
    module = build_definition(name, cards()[name].classes)
    initialise(module, cards()[name].input_shape, seed)
    return module


def logits(module, name, images=4):
    x = torch.randn((images, *cards()[name].input_shape), generator=torch.Generator().manual_seed(99))
    with torch.no_grad():
        return module(x)


# One of each construction; the deep ones are the hard cases for rounding errors.
@pytest.mark.parametrize(
    "name", ["caffenet", "googlenet_bvlc", "mobilenet_v2", "resnet50_v2", "resnet101", "vgg6_fashion"]
)
def test_random_networks_stay_well_conditioned(name):
    module = random_network(name)
    exact = logits(module, name)
    assert exact.isfinite().all()
    assert 0.1 < exact.std() < 100
    rounded = logits_in_bfloat16(module, name)
    sqnr_db = 10 * torch.log10(exact.square().sum() / (exact - rounded).square().sum())
    assert sqnr_db > 30  # a bfloat16 has 8 bits, about 45 dB; a network that amplifies errors has < 20


def logits_in_bfloat16(module, name):
    x = torch.randn((4, *cards()[name].input_shape), generator=torch.Generator().manual_seed(99))
    with torch.no_grad():
        return module.bfloat16()(x.bfloat16()).float()


def test_a_seed_gives_the_same_weights_whatever_the_global_state():
    torch.manual_seed(1)
    first = random_network("resnet8_fashion", seed=5).state_dict()
    before = torch.get_rng_state()
    second = random_network("resnet8_fashion", seed=5).state_dict()
    other = random_network("resnet8_fashion", seed=6).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["4.f.weight"], other["4.f.weight"])


def test_batch_norm_statistics_are_those_of_the_noise_and_its_affine_part_only_rescales():
    module = random_network("vgg6_fashion")
    conv, norm, _ = module[0]
    noise = torch.randn((64, 1, 28, 28), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        x = conv(noise)
    torch.testing.assert_close(x.mean([0, 2, 3]), norm.running_mean, rtol=0, atol=0.05)
    torch.testing.assert_close(x.var([0, 2, 3]), norm.running_var, rtol=0.1, atol=0)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(scale, scale[:1].expand_as(scale))  # one number for the whole layer
    assert (x * scale[0]).square().mean().sqrt().item() == pytest.approx(1, rel=0.05)
    offset = norm.bias - norm.running_mean * scale  # what is left of the bias once centring is undone
    assert 0.02 < offset.std() < 0.3


@pytest.fixture
def state():
    return random_network("resnet8_fashion", seed=3).state_dict()


def write(path, state):
    if path.suffix == ".safetensors":
        save_file(state, path)
    elif path.suffix == ".npz":
        np.savez(path, **{k: v.numpy() for k, v in state.items()})
    else:
        torch.save(state, path)
    return path


def refusal(path, name="resnet8_fashion"):
    with pytest.raises(DataError) as caught:
        load_checkpoint(build_definition(name, cards()[name].classes), path)
    assert "\n" not in caught.value.line()
    return caught.value


@pytest.mark.parametrize("ending", ["pt", "pth", "safetensors", "npz"])
def test_a_checkpoint_is_loaded_whatever_its_format(tmp_path, state, ending):
    module = random_network("resnet8_fashion", seed=1)
    load_checkpoint(module, write(tmp_path / f"w.{ending}", state))
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())


def test_wrapped_and_prefixed_and_half_precision_and_counterless_checkpoints_are_loaded(tmp_path, state):
    kept = {f"module.{k}": v.half() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    module = random_network("resnet8_fashion", seed=1)
    load_checkpoint(module, write(tmp_path / "w.pth", {"epoch": 3, "state_dict": kept}))
    assert module[4].f.weight.dtype == torch.float32
    torch.testing.assert_close(module[4].f.weight, state["4.f.weight"], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "extra"),
    [("googlenet", ("aux1.conv.weight", "aux2.fc1.bias")), ("inception_v3", ("AuxLogits.fc.weight",))],
)
def test_auxiliary_heads_of_official_files_are_dropped(tmp_path, name, extra):
    module = build_definition(name, 1000)
    official = {k: torch.zeros(v.shape) for k, v in module.state_dict().items()}
    load_checkpoint(module, write(tmp_path / "w.pth", official | {k: torch.ones(3) for k in extra}))
    assert module.fc.weight.abs().max() == 0


def test_a_checkpoint_of_another_network_is_refused_with_counts_and_first_keys(tmp_path, state):
    wrong = {k: v for k, v in state.items() if not k.startswith("4.")}
    wrong |= {"head.weight": torch.ones(2), "0.0.weight": torch.ones(16, 3, 3, 3)}
    error = refusal(write(tmp_path / "w.pth", wrong))
    assert error.slug == "wrong-checkpoint"
    assert "2 keys missing (first: 4.f.weight)" in error.sentence
    assert "1 key unexpected (first: head.weight)" in error.sentence
    assert "1 key of another shape (first: 0.0.weight is 16x3x3x3, not 16x1x3x3)" in error.sentence


class Payload:
    def __reduce__(self):
        return (print, ("code from a checkpoint ran",))


def test_code_in_a_checkpoint_is_refused_and_never_runs(tmp_path, capsys):
    path = tmp_path / "w.pt"
    torch.save({"weight": Payload()}, path)
    assert refusal(path).slug == "unreadable-checkpoint"
    np.savez(tmp_path / "w.npz", weight=np.array([Payload()], dtype=object))
    assert refusal(tmp_path / "w.npz").slug == "unreadable-checkpoint"
    path.write_bytes(pickle.dumps(Payload()))
    assert refusal(path).slug == "unreadable-checkpoint"
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["pt", "safetensors", "npz"])
def test_truncated_and_empty_files_are_refused(tmp_path, state, ending):
    path = write(tmp_path / f"w.{ending}", state)
    path.write_bytes(path.read_bytes()[:1000])
    assert refusal(path).slug == "unreadable-checkpoint"
    path.write_bytes(b"")
    assert refusal(path).slug == "unreadable-checkpoint"


def test_what_is_no_state_dict_is_refused(tmp_path):
    torch.save([torch.ones(2)], tmp_path / "w.pt")
    assert "no state dict" in refusal(tmp_path / "w.pt").sentence
    (tmp_path / "w.bin").write_bytes(b"x")
    assert ".safetensors" in refusal(tmp_path / "w.bin").sentence
    assert refusal(tmp_path / "absent.pt").slug == "missing-checkpoint"
