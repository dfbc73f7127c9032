"""`dyno build`: an engine file, a network compiled by forge for the GPU of this machine."""

from pathlib import Path
from typing import Any

import click

from tensordyno.cli.flags import calibration_options, check_calibration_matters, raw_spec

SUMMARY = "Compile a model for this GPU and write it as an engine file."

_FLAGS = {
    "engine": "engines",
    "precision": "precisions",
    "batch": "batch_sizes",
    "device": "devices",
    "data": "dataset",
    "weights": "weights",
    "threads": "threads",
    "seed": "seed",
    "skip_unreadable": "skip_unreadable",
    "preprocess": "preprocessing",
}
_BUILDER = "forge"
_SUFFIX = ".engine"


@click.command("build", short_help=SUMMARY)
@click.argument("model", metavar="MODEL")
@click.option("--engine", default=_BUILDER, show_default=True, help="The engine whose file it is to be.")
@click.option("--precision", default="int8", show_default=True, help="int8, fp16, bf16, tf32 or fp32.")
@click.option("--batch", default="1", show_default=True, help="Batch sizes that it is to serve: 1,32,256.")
@click.option("--device", default="cuda:0", show_default=True, help="The GPU to compile for: cuda:N.")
@click.option("--data", metavar="DATA", help="Images to calibrate int8 on, as in dyno quantize.")
@click.option("--weights", metavar="FILE", help="Checkpoint: .pt, .pth, .safetensors or .npz.")
@calibration_options
@click.option("--threads", type=int, help="CPU threads of the calibration; default: every core allowed.")
@click.option("--seed", type=int, help="Seed of random weights and synthetic images.")
@click.option("--skip-unreadable", is_flag=True, default=None, help="Leave out images that cannot be read.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The engine file; default MODEL.PRECISION.engine.",
)
@click.option("--force", is_flag=True, help="Overwrite it.")
def command(model: str, **flags: Any) -> int:
    r"""Compile MODEL for the GPU of this machine and write it as an engine file.

    Every layer's kernels are timed on that GPU and the fastest kept, for each batch size; what was timed
    before is remembered. For int8 the network is calibrated first, as dyno quantize does, unless it is a Q/DQ
    file. The file runs on the same kind of GPU: tensordyno.forge.load(FILE).

    \b
    dyno build resnet50 --batch 1,32,256 -o resnet50.engine
    dyno build resnet50 --weights resnet50.pth --calibration-data photos --method entropy
    dyno build my.int8.onnx --device cuda:1
    dyno build my.onnx --precision fp16 --batch 256
    """
    from tensordyno.cli import engine_page
    from tensordyno.cli.output_file import check_output
    from tensordyno.plan.identity import file_safe, model_text
    from tensordyno.spec.yaml_file import spec_from_flags

    _check_engine(flags["engine"])
    raw, origins = raw_spec(flags, _FLAGS)
    raw["models"], origins["models"] = [{"name": model}], "MODEL"
    loaded = spec_from_flags(raw, origins, name=model)
    check_calibration_matters(loaded.spec, flags, remedy="int8")
    default = f"{file_safe(model_text(model))}.{loaded.spec.precisions[0]}{_SUFFIX}"
    output = flags["output"] or Path(default)
    check_output(output, _SUFFIX, force=flags["force"])
    engine_page.build_and_print(engine_page.wanted(loaded), output)
    return 0


def _check_engine(engine: str) -> None:
    """Raise UnknownName for what is no engine, UsageError (`only-forge-builds`) for another than forge."""
    from tensordyno.engines.base import ENGINES
    from tensordyno.errors import UnknownName, UsageError
    from tensordyno.spec.engine_text import split_engines

    for part in split_engines(engine):
        name = part.partition(":")[0].strip()
        if name not in ENGINES.names():
            raise UnknownName("engine", name, ENGINES.names())
    if engine.strip() != _BUILDER:
        raise UsageError(
            "only-forge-builds",
            f"Only {_BUILDER} builds engine files, and without options: '{engine}' was asked for.",
            f"Type: --engine {_BUILDER}. To measure other engines: dyno infer MODEL --engine {engine}",
        )


MEMBER = command
