"""What torchvision (and timm, for Inception v4) say of the networks we share: keys, shapes and answers.

The stored file lets the comparison run without torchvision. To make it again, with torchvision and timm
importable, from the root of the repository:

    python tests/unit/models/torchvision_reference.py
"""

import gzip
import importlib
import json
import sys
import zlib
from pathlib import Path

import numpy as np

STORED = Path(__file__).with_name("torchvision_reference.json.gz")
SHARED = (
    *("alexnet", "googlenet", "inception_v3", "inception_v4", "mobilenet_v2"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vgg16", "vgg19"),
)
ANSWERED = ("alexnet", "googlenet", "inception_v3", "inception_v4", "mobilenet_v2", "resnet18", "resnet50")
LOGITS = 32  # of 1000, stored of each answer


def stored():
    return json.loads(gzip.decompress(STORED.read_bytes()))


def shapes_of(module):
    return {k: list(v.shape) for k, v in module.state_dict().items()}


def seeded_state(module):
    """Weights that depend on key and shape alone, made without torch's generator."""
    import torch

    state = {}
    for key, shape in shapes_of(module).items():
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        if key.endswith("num_batches_tracked"):
            value = np.zeros(shape, np.int64)
        elif len(shape) > 1:
            value = rng.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]), dtype=np.float32)
        elif key.endswith(("running_var", "bn.weight")):
            value = rng.random(shape, np.float32) + np.float32(0.5)
        else:
            value = rng.standard_normal(shape, np.float32) * np.float32(0.3) + np.float32(
                key.endswith("weight")
            )
        state[key] = torch.from_numpy(np.asarray(value))
    return state


def pixels(shape):
    """One image, 0..1, before any normalisation."""
    return np.random.default_rng(7).random((1, *shape), np.float32)


def answer(module, shape, mean, std):
    """Logits of the seeded image by the seeded weights, normalised as asked."""
    import torch

    module.load_state_dict(seeded_state(module))
    mean, std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (mean, std))
    with torch.no_grad():
        return module.eval()(torch.from_numpy((pixels(shape) - mean) / std)).numpy()[0]


def their_answer(name):
    """Module and logits of torchvision's (timm's) network, fed as its own documentation says."""
    external = importlib.import_module("tensordyno.models.external")
    origin = "timm" if name == "inception_v4" else "torchvision"
    module, card = external.build_external(f"{origin}:{name}", seed=0)
    size = (3, 299, 299) if name.startswith("inception") else (3, 224, 224)
    return module, answer(module, size, card.preprocessing.mean, card.preprocessing.std)


def main():
    reference = {}
    for name in SHARED:
        module, logits = their_answer(name)
        kept = [round(float(v), 5) for v in logits[:LOGITS]] if name in ANSWERED else None
        reference[name] = {"shapes": shapes_of(module), "logits": kept}
        print(name, len(reference[name]["shapes"]), float(np.abs(logits).max()), file=sys.stderr)
    STORED.write_bytes(gzip.compress(json.dumps(reference).encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
