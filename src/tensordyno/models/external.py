"""Networks from outside: torchvision:NAME, timm:NAME, FILE.onnx and package.module:function."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tensordyno.errors import DataError, MissingPackage, UnknownName
from tensordyno.records.model import ModelCard, Preprocessing

if TYPE_CHECKING:
    from torch import nn

    Built = tuple[nn.Module, ModelCard]


class Origin(StrEnum):
    """What kind of place a model's name points to."""

    CATALOGUE = "catalogue"
    TORCHVISION = "torchvision"
    TIMM = "timm"
    FUNCTION = "function"
    ONNX = "onnx"


def origin_of(model: str) -> Origin:
    """Read off the name alone where a network comes from; nothing is imported or opened."""
    if model.lower().endswith(".onnx"):
        return Origin.ONNX
    library, colon, _ = model.partition(":")
    if not colon:
        return Origin.CATALOGUE
    return {"torchvision": Origin.TORCHVISION, "timm": Origin.TIMM}.get(library, Origin.FUNCTION)


def build_external(model: str, seed: int) -> "Built":
    """The module and the card of `torchvision:NAME`, `timm:NAME` or `package.module:function`.

    What the constructor draws at random comes from `seed`; the global random state is left as it was.
    The module is in evaluation mode, on the CPU, and has been seen to map one image to (1, classes).
    Raises MissingPackage, UnknownName, or DataError (`unknown-function`, `broken-function`,
    `not-a-classifier`).
    """
    import torch

    builders: dict[Origin, Callable[[str], Built]] = {
        Origin.TORCHVISION: _torchvision,
        Origin.TIMM: _timm,
        Origin.FUNCTION: _function,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, card = builders[origin_of(model)](model)
    module = module.cpu().eval()
    return module, msgspec.structs.replace(card, name=model, classes=_classes(module, card, model))


def import_torchvision() -> Any:
    """Import torchvision, also where its wheel cannot load its C++ operators.

    The wheels on the package index are built for CUDA; beside a CPU build of PyTorch their library does
    not load, and the import stops at the missing operator `nms`. The classifiers need none of its
    operators, so the two schemas that the import asks for are declared without an implementation.
    """
    import torch

    try:
        return importlib.import_module("torchvision")
    except ImportError:
        raise MissingPackage("torchvision", "torchvision") from None
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
        return importlib.import_module("torchvision")


_DECLARED: list[Any] = []  # the schemas live as long as the library object does

# As torchvision builds them for its official weights, less the heads that only training uses.
_INFERENCE_ONLY: dict[str, dict[str, bool]] = {
    "googlenet": {"aux_logits": False, "transform_input": True, "init_weights": False},
    "inception_v3": {"aux_logits": False, "transform_input": True, "init_weights": False},
}


def _torchvision(model: str) -> "Built":
    import_torchvision()
    models = importlib.import_module("torchvision.models")
    name = model.partition(":")[2]
    known = models.list_models(module=models)
    if name not in known:
        raise UnknownName("model", model, [f"torchvision:{n}" for n in known])
    look = models.get_model_weights(name).DEFAULT.transforms()
    card = ModelCard(
        name=model,
        input_shape=(3, look.crop_size[0], look.crop_size[0]),
        preprocessing=Preprocessing(resize=look.resize_size[0], mean=tuple(look.mean), std=tuple(look.std)),
    )
    return models.get_model(name, weights=None, **_INFERENCE_ONLY.get(name, {})), card


def _timm(model: str) -> "Built":
    if importlib.util.find_spec("timm") is None:
        raise MissingPackage("timm", "timm")
    import_torchvision()  # timm needs it
    timm = importlib.import_module("timm")
    name = model.partition(":")[2]
    if not timm.is_model(name):
        raise UnknownName("model", model, [f"timm:{n}" for n in timm.list_models()])
    module = timm.create_model(name, pretrained=False)
    look = module.pretrained_cfg
    shape = tuple(look["input_size"])
    card = ModelCard(
        name=model,
        input_shape=shape,
        preprocessing=Preprocessing(
            resize=int(shape[1] / look.get("crop_pct", 1.0)), mean=look["mean"], std=look["std"]
        ),
    )
    return module, card


def _function(model: str) -> "Built":
    from torch import nn

    function = _find_function(model)
    try:
        made = function()
    except Exception as wrong:
        raise DataError(
            "broken-function",
            f"{model} raised {type(wrong).__name__}: {wrong}",
            "Call it in Python to see why.",
        ) from wrong
    module, fields = made if isinstance(made, tuple) and len(made) == 2 else (made, {})
    if not isinstance(module, nn.Module) or not isinstance(fields, Mapping):
        raise DataError(
            "broken-function",
            f"{model} returned {type(module).__name__}, not a torch.nn.Module.",
            "Return the module, or the module and a dict with fields of its card (input_shape, ...).",
        )
    try:
        return module, msgspec.convert({**fields, "name": model}, ModelCard)
    except msgspec.ValidationError as wrong:
        raise DataError(
            "broken-function", f"The card that {model} returned is wrong: {wrong}.", "Correct that field."
        ) from wrong


def _find_function(model: str) -> Callable[[], Any]:
    place, _, name = model.partition(":")
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as wrong:
        raise DataError(
            "unknown-function",
            f"{model} cannot be imported: {wrong}.",
            "Give package.module:function, with the package installed or on PYTHONPATH.",
        ) from wrong
    function = getattr(module, name, None)
    if not callable(function):
        raise DataError(
            "unknown-function",
            f"The Python module {place} has no function '{name}'.",
            "Give package.module:function.",
        )
    return function


def _classes(module: "nn.Module", card: ModelCard, model: str) -> int:
    import torch

    try:
        with torch.no_grad():
            logits = module(torch.zeros((1, *card.input_shape)))
    except Exception as wrong:  # whatever the network's own code raises
        reason = str(wrong).strip().partition("\n")[0]
        raise DataError(
            "not-a-classifier",
            f"{model} does not take one image of shape {card.input_shape}: {reason}.",
            "Name a network that classifies images; a function may return its input_shape in a card.",
        ) from wrong
    if not isinstance(logits, torch.Tensor) or logits.dim() != 2 or logits.shape[0] != 1:
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise DataError(
            "not-a-classifier",
            f"{model} answers one image with {found}, not with (1, classes).",
            "Name a network that classifies images.",
        )
    return int(logits.shape[1])


def source_file(model: str) -> Path | None:
    """The file of the Python module that `package.module:function` names, found without importing it."""
    package, *rest = model.partition(":")[0].split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    if not rest:
        return Path(spec.origin)
    inside = Path(spec.origin).parent.joinpath(*rest)
    return next((f for f in (inside.with_suffix(".py"), inside / "__init__.py") if f.is_file()), None)
