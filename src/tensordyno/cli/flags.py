"""Flags that several verbs share, and how flags become the raw spec that is checked like a file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tensordyno.spec.schema import Spec

Command = TypeVar("Command", bound=Callable[..., Any])

MEASURE = {
    "min_seconds": "min_seconds",
    "max_seconds": "max_seconds",
    "target": "target_half_width",
    "energy_seconds": "energy_seconds",
}
DEVICE_HELP = "cpu or cuda:N; several with commas, each measured alone."
CALIBRATION = {
    "calibration": "images",
    "method": "methods",
    "calibration_data": "data",
    "calibration_seed": "seeds",
    "keep_fp32": "keep_fp32",
    "max_drop": "max_drop",
    "fp32_first": "first_layer",
    "fp32_last": "last_layer",
}
_DENIALS = ("fp32_first", "fp32_last", "no_ceilings")  # set, they make their key false
_GROUPS = {"measure": MEASURE, "calibration": CALIBRATION}

_CALIBRATION_OPTIONS = (
    click.option(
        "--calibration",
        metavar="BATCHESxSIZE",
        help="Images that INT8 is calibrated on: 50x25 (default) is 50 batches of 25; several with commas.",
    ),
    click.option(
        "--method",
        metavar="METHOD",
        help="entropy (default), minmax, percentile[:99.9], mse, or auto, which tries them all.",
    ),
    click.option(
        "--calibration-data",
        metavar="DATA",
        help="Other images to calibrate on; default: the calibration part of --data.",
    ),
    click.option(
        "--calibration-seed", metavar="N", help="Which images are drawn; 0 (default): the first ones."
    ),
    click.option(
        "--keep-fp32",
        metavar="N|auto",
        help="The most sensitive layers stay in FP32: N, or as many as needed.",
    ),
    click.option(
        "--max-drop",
        type=float,
        metavar="FRACTION",
        help="Loss of top-1 that --keep-fp32 auto may leave; default 0.003.",
    ),
    click.option("--fp32-first", is_flag=True, default=None, help="The first layer stays in FP32."),
    click.option("--fp32-last", is_flag=True, default=None, help="The last layer stays in FP32."),
)
_RUN_OPTIONS = (
    click.option(
        "--skip-unreadable",
        is_flag=True,
        default=None,
        help="Leave out images that cannot be read, and count them.",
    ),
    click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any other key of a spec."),
    click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Run folder."),
    click.option("--dry-run", is_flag=True, help="Print the plan and its skips, run nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print summary.json alone on stdout."),
    click.option("--no-report", is_flag=True, help="Leave the report to: dyno report RUN."),
)
_PREPROCESS = click.option(
    "--preprocess",
    metavar="KEY=VALUE,...",
    help="What differs in how images become inputs: resize=256, mean=0.485:0.456:0.406, std=..., "
    "channels=bgr, layout=nhwc; commas between.",
)


def calibration_options(command: Command) -> Command:
    """The flags that say how INT8 is calibrated, and how images become inputs."""
    return _with(command, (*_CALIBRATION_OPTIONS, _PREPROCESS))


def run_options(command: Command) -> Command:
    """The flags of a verb that makes a run folder from flags alone."""
    return _with(command, _RUN_OPTIONS)


def _with(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def raw_spec(flags: Mapping[str, Any], keys: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The raw spec that flags make, and the flag behind each of its keys.

    `keys` maps flags to keys of the top level; those of `measure` and `calibration` are known here. A flag
    that is None, or unknown to the command, says nothing.
    """
    raw = {key: _value(flag, flags[flag]) for flag, key in keys.items() if flags[flag] is not None}
    origins = {key: flag_text(flag) for flag, key in keys.items() if key in raw}
    for group, members in _GROUPS.items():
        said = [flag for flag in members if flags.get(flag) is not None]
        if said:
            raw[group] = {members[flag]: _value(flag, flags[flag]) for flag in said}
            origins |= {f"{group}.{members[flag]}": flag_text(flag) for flag in said}
            origins[group] = ", ".join(map(flag_text, said))
    return raw, origins


def _value(flag: str, said: Any) -> Any:
    return False if flag in _DENIALS else said


def engines_for(devices: str, on_cpu: str, on_gpu: str) -> str:
    """Default engines of a verb for the devices as they were typed: those of a CPU if one is among them."""
    words = [word.strip() for word in devices.split(",")]
    return on_gpu if all(word.startswith("cuda") for word in words) else on_cpu


def flag_text(flag: str) -> str:
    """A flag as it is typed."""
    return f"--{flag.replace('_', '-')}"


def check_calibration_matters(spec: "Spec", flags: Mapping[str, Any], remedy: str = "fp32,int8") -> None:
    """Raise UsageError (`calibration-without-int8`) for calibration flags of a spec without INT8.

    `remedy` are the precisions that it says to ask for.
    """
    from tensordyno.errors import UsageError
    from tensordyno.vocabulary import Precision

    said = [flag_text(flag) for flag in CALIBRATION if flags[flag] is not None]
    if said and not any(Precision.INT8 in product.precisions for product in spec.products()):
        raise UsageError(
            "calibration-without-int8",
            f"{', '.join(said)} would change nothing: no trial is INT8.",
            f"Type: --precision {remedy}",
        )
