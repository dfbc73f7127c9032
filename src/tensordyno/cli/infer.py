"""`dyno infer`: measure inference of networks over engines, precisions and batch sizes."""

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

SUMMARY = "Measure inference of a model over engines, precisions and batch sizes."

# flag -> key of the spec; the flag is what an error names
_FLAGS = {
    "engine": "engines",
    "precision": "precisions",
    "batch": "batch_sizes",
    "boundary": "boundaries",
    "device": "devices",
    "gpus": "gpus",
    "weights": "weights",
    "data": "dataset",
    "threads": "threads",
    "allocator": "allocator",
    "seed": "seed",
    "baseline": "baseline",
    "latency_bound": "latency_bound_s",
    "skip_unreadable": "skip_unreadable",
    "preprocess": "preprocessing",
    "no_ceilings": "ceilings",
}
_EVERYWHERE = "torch,torch-compile,onnxruntime"
_ENGINES = f"{_EVERYWHERE},openvino"
_ENGINES_ON_GPU = f"{_EVERYWHERE},forge"


@click.command("infer", short_help=SUMMARY)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--engine",
    help="Engines, options after a colon: openvino:hint=throughput. "
    f"Default: {_ENGINES}; on GPUs {_ENGINES_ON_GPU}.",
)
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    help="fp32, tf32, bf16, fp16, int8; several with commas.",
)
@click.option("--batch", default="1", show_default=True, help="Batch sizes: 1,8,32 or 1:4096:x2.")
@click.option("--device", default="cpu", show_default=True, help=DEVICE_HELP)
@click.option(
    "--gpus",
    metavar="N,...",
    help="Devices that measure together, one process each, from --device on: 1,2,4. Default: 1.",
)
@click.option(
    "--boundary",
    default="host",
    show_default=True,
    help="host, device or both: where the stopwatch starts and stops.",
)
@click.option("--weights", metavar="FILE", help="Checkpoint: .pt, .pth, .safetensors or .npz.")
@click.option("--data", metavar="DATA", help="synthetic, fashion, a folder of images, or an .npz file.")
@click.option("--threads", type=int, help="CPU threads; default: every core allowed.")
@click.option("--allocator", help="default, keep, or both: glibc's malloc setting (METHOD.md).")
@click.option("--seed", type=int, help="Seed of weights, synthetic input and order.")
@click.option("--min-seconds", type=float, help="Least measured time of a trial.")
@click.option("--max-seconds", type=float, help="Most time of a trial.")
@click.option("--target", type=float, help="Wanted half-width of the 95 % interval, e.g. 0.01.")
@click.option(
    "--energy-seconds",
    type=float,
    metavar="S",
    help="Full load for the energy alone, after measuring; default: 5 on a GPU, else 0.",
)
@click.option(
    "--no-ceilings",
    is_flag=True,
    default=None,
    help="Do not measure what GPUs reach with plain matrix products and copies.",
)
@click.option("--baseline", metavar="ENGINE", help="Engine that ratios refer to.")
@click.option("--latency-bound", type=float, metavar="SECONDS", help="Report the best throughput within it.")
@calibration_options
@run_options
def command(models: tuple[str, ...], **flags: Any) -> int:
    r"""Measure inference of each MODEL and say which configuration to choose.

    MODEL is a network of the catalogue (resnet50, vgg16, ...), torchvision:NAME, timm:NAME, FILE.onnx or
    package.module:function.

    \b
    dyno infer resnet50 --engine torch,openvino --precision fp32,bf16 --batch 1,8,32
    dyno infer my.onnx --engine onnxruntime,openvino:hint=throughput --batch 1:64:x2
    dyno infer my.onnx --engine openvino --precision fp32,int8 --data photos --method mse
    dyno infer resnet50 --device cuda:0 --gpus 1,2,4 --precision fp32,tf32,fp16 --batch 1:4096:x2
    """
    from tensordyno.cli import execute
    from tensordyno.spec.yaml_file import spec_from_flags

    flags["engine"] = flags["engine"] or engines_for(flags["device"], _ENGINES, _ENGINES_ON_GPU)
    raw, origins = raw_spec(flags, _FLAGS)
    raw["models"], origins["models"] = list(models), "MODEL"
    loaded = spec_from_flags(raw, origins, flags["sets"], name="-".join(models))
    check_calibration_matters(loaded.spec, flags)
    if flags["dry_run"]:
        return execute.show_plan(loaded)
    return execute.start(loaded, flags["output"], as_json=flags["as_json"], report=not flags["no_report"])


MEMBER = command
