"""`dyno quantize`: a Q/DQ ONNX file of a network that every INT8 engine runs, and its calibration table."""

from pathlib import Path
from typing import Any

import click

from tensordyno.cli.flags import CALIBRATION, calibration_options, flag_text, raw_spec

SUMMARY = "Calibrate a model for INT8 and write it as a Q/DQ ONNX file."

_FLAGS = {
    "data": "dataset",
    "weights": "weights",
    "threads": "threads",
    "seed": "seed",
    "skip_unreadable": "skip_unreadable",
    "preprocess": "preprocessing",
}


@click.command("quantize", short_help=SUMMARY)
@click.argument("model", metavar="MODEL")
@click.option("--data", metavar="DATA", help="A folder of images, an .npz file, fashion, or synthetic.")
@click.option("--weights", metavar="FILE", help="Checkpoint: .pt, .pth, .safetensors or .npz.")
@calibration_options
@click.option("--sensitivity", is_flag=True, help="Rank the layers by what INT8 costs in each alone.")
@click.option(
    "--table", metavar="FILE", help="Use the ranges and layers of this calibration table, run no image."
)
@click.option(
    "--form",
    type=click.Choice(["uint8", "int8", "rectified"]),
    default="uint8",
    show_default=True,
    help="How activations are written: uint8 runs well on every CPU engine, rectified is OpenVINO's fastest, "
    "int8 is for TensorRT.",
)
@click.option("--threads", type=int, help="CPU threads; default: every core allowed.")
@click.option("--seed", type=int, help="Seed of random weights and synthetic images.")
@click.option("--skip-unreadable", is_flag=True, default=None, help="Leave out images that cannot be read.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The Q/DQ file; default MODEL.int8.onnx. The table goes to FILE.calibration.json.",
)
@click.option("--force", is_flag=True, help="Overwrite these files.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON alone on stdout.")
def command(model: str, **flags: Any) -> int:
    r"""Calibrate MODEL for INT8 and write it as a Q/DQ ONNX file.

    Ranges come from the calibration part of DATA: its folder `calibration` if there is one, else the random
    fifth that `dyno accuracy` does not test. All of a folder is used with --calibration-data FOLDER.
    What was calibrated before is found again, whatever engine it was for.

    \b
    dyno quantize resnet8_fashion -o resnet8.int8.onnx
    dyno quantize resnet50 --weights resnet50.pth --calibration-data photos --calibration 50x25
    dyno quantize my.onnx --data photos --method auto --sensitivity --keep-fp32 auto
    """
    from tensordyno.cli import calibrating, calibration_page
    from tensordyno.cli.output_file import check_output
    from tensordyno.plan.identity import file_safe, model_text
    from tensordyno.spec.yaml_file import spec_from_flags

    output = flags["output"] or Path(f"{file_safe(model_text(model))}.int8.onnx")
    check_output(output, ".onnx", force=flags["force"], beside=(table_beside(output),))
    _check_table(flags)
    raw, origins = raw_spec(flags, _FLAGS)
    raw |= {"models": [{"name": model}], "engines": "onnxruntime", "precisions": "int8"}
    origins["models"] = "MODEL"
    trial = calibrating.only_trial(spec_from_flags(raw, origins, name=model))
    with calibrating.calibration_bar(trial, quiet=flags["as_json"]) as hear:
        found = calibrating.calibrate(
            trial, hear, sensitivity=flags["sensitivity"], table=flags["table"] or ""
        )
    files = calibration_page.keep(found, flags["form"], output)
    if flags["as_json"]:
        click.echo(calibration_page.as_json(trial, found.facts, files))
    else:
        calibration_page.print_page(trial, found, files, from_table=bool(flags["table"]))
    return 0


def table_beside(output: Path) -> Path:
    """Where the calibration table of a Q/DQ file goes."""
    return output.with_name(f"{output.name}.calibration.json")


def _check_table(flags: dict[str, Any]) -> None:
    """Raise DataError (`missing-table`), UsageError (`table-decides`) for flags that it makes useless."""
    from tensordyno.errors import DataError, UsageError

    if flags["table"] is None:
        return
    if not Path(flags["table"]).is_file():
        remedy = "Give the .calibration.json that dyno quantize wrote beside its file."
        raise DataError("missing-table", f"There is no calibration table {flags['table']}.", remedy)
    said = [flag_text(flag) for flag in (*CALIBRATION, "sensitivity") if flags[flag]]
    if said:
        text = f"{', '.join(said)} would change nothing: {flags['table']} says ranges and layers."
        raise UsageError("table-decides", text, "Leave out these flags, or --table.")


MEMBER = command
