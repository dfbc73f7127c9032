"""`dyno accuracy`: right answers of networks in several number formats, on the same labelled images."""

from typing import Any

import click

from tensordyno.cli.flags import (
    DEVICE_HELP,
    calibration_options,
    check_calibration_matters,
    engines_for,
    raw_spec,
    run_options,
)

SUMMARY = "Count right answers in FP32 and INT8, and tell the difference with its interval."

# flag -> key of the spec; the flag is what an error names
_FLAGS = {
    "data": "dataset",
    "precision": "precisions",
    "engine": "engines",
    "images": "accuracy_images",
    "batch": "batch_sizes",
    "device": "devices",
    "threads": "threads",
    "seed": "seed",
    "skip_unreadable": "skip_unreadable",
    "preprocess": "preprocessing",
}
_ALL_IMAGES = 2**31 - 1  # the largest number a spec takes
_UNTIMED = {
    "task": "accuracy",
    "telemetry": {"sources": [], "overhead": False},
    "largest_batch": False,
    "ceilings": False,
}
_ENGINES, _ENGINES_ON_GPU = "onnxruntime,openvino", "onnxruntime,torch"


@click.command("accuracy", short_help=SUMMARY)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", metavar="DATA", help="Labelled images: a folder, an .npz file, or fashion.")
@click.option(
    "--weights",
    multiple=True,
    metavar="FILE",
    help="Checkpoint of all models, or given once for each MODEL in turn.",
)
@click.option("--precision", default="fp32,int8", show_default=True, help="Number formats to compare.")
@click.option(
    "--engine",
    help="Engines, options after a colon: openvino:hint=throughput. "
    f"Default: {_ENGINES}; on GPUs {_ENGINES_ON_GPU}.",
)
@click.option("--images", type=int, metavar="N", default=_ALL_IMAGES, help="Most test images; default: all.")
@click.option("--batch", default="32", show_default=True, help="Images answered at a time.")
@click.option("--device", default="cpu", show_default=True, help=DEVICE_HELP)
@click.option("--threads", type=int, help="CPU threads; default: every core allowed.")
@click.option("--seed", type=int, help="Seed of what is drawn at random.")
@calibration_options
@run_options
def command(models: tuple[str, ...], **flags: Any) -> int:
    r"""Count the right answers of each MODEL in every number format, on the same images.

    The table says top-1 and top-5 of FP32 and INT8, and their difference with its 95 % interval. INT8 is
    calibrated on images that are never tested: the folder DATA/calibration if there is one (then DATA/test
    is tested), else a random fifth of DATA, or --calibration-data.

    \b
    dyno accuracy resnet8_fashion lenet5_fashion
    dyno accuracy resnet50 --weights resnet50.pth --data photos --method entropy,mse
    dyno accuracy my.onnx --data photos --calibration 10x25,50x25 --calibration-seed 1,2,3
    """
    from tensordyno.cli import execute
    from tensordyno.spec.yaml_file import spec_from_flags

    flags["engine"] = flags["engine"] or engines_for(flags["device"], _ENGINES, _ENGINES_ON_GPU)
    raw, origins = raw_spec(flags, _FLAGS)
    raw |= _UNTIMED | {"models": _networks(models, flags["weights"])}
    origins |= {"models": "MODEL", "task": "dyno accuracy"}
    loaded = spec_from_flags(raw, origins, flags["sets"], name="-".join(models))
    check_calibration_matters(loaded.spec, flags)
    if flags["dry_run"]:
        return execute.show_plan(loaded)
    return execute.start(loaded, flags["output"], as_json=flags["as_json"], report=not flags["no_report"])


def _networks(models: tuple[str, ...], weights: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each network with its checkpoint. Raises UsageError (`weights-count`) when it is not clear whose."""
    from tensordyno.errors import UsageError

    if len(weights) not in (0, 1, len(models)):
        raise UsageError(
            "weights-count",
            f"--weights is given {len(weights)} times for {len(models)} models.",
            "Give it once for all, or once for each in their order.",
        )
    files = weights if len(weights) == len(models) else (*weights, None)[:1] * len(models)
    return [{"name": model, "weights": file} for model, file in zip(models, files, strict=True)]


MEMBER = command
