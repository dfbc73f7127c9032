"""The command `dyno`: finds its verbs by file name, imports only the one that is called.

Exit codes: 0 done; 1 nothing was VALID; 2 wrong usage, spec or data; 3 missing package or unsupported;
4 run folder cannot be written or read; 5 worker failure; 6 instrument out of bounds; 130 Ctrl-C.
"""

import os
import sys
import traceback
from contextlib import suppress

import click

from tensordyno import __version__
from tensordyno.catalogue import Catalogue
from tensordyno.errors import DynoError
from tensordyno.run.launch_place import place_in

_SHARED_CODE = frozenset(
    {"main", "execute", "display", "plain", "table", "doctor_gpus", "doctor_pages"}
    | {"flags", "accuracy_table", "compare_table", "calibrating", "calibration_page"}
    | {"output_file", "engine_page"}
)
VERBS = Catalogue("cli", "command", besides=_SHARED_CODE)
_ORDER = ("doctor", "run", "infer", "accuracy", "quantize", "build", "report", "compare", "ls", "completion")


class LazyGroup(click.Group):
    """A group whose commands are the files of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order a newcomer meets them."""
        names = VERBS.names()
        return [*(n for n in _ORDER if n in names), *(n for n in names if n not in _ORDER)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb; an unknown one gets the nearest names."""
        command: click.Command = VERBS.module(cmd_name).MEMBER
        # click leaves a paragraph that begins with a backspace as it is; a raw docstring spells it out
        command.help = (command.help or "").replace("\\b\n", "\b\n")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a verb, read from its file without importing it."""
        with formatter.section("Commands"):
            formatter.write_dl([(n, VERBS.literal(n, "SUMMARY") or "") for n in self.list_commands(ctx)])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 nothing VALID, 2 usage or data, 3 missing or unsupported, 4 run folder, "
    "5 worker, 6 instrument, 130 Ctrl-C. Every [slug] in a message is explained in MESSAGES.md.",
)
@click.version_option(__version__, prog_name="dyno")
@click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Put a neural network on a dynamometer.

    Which engine, precision and batch size runs this model best here, how much faster, at what energy, at
    what loss of accuracy, and how sure are we?
    """
    ctx.obj = {"debug": debug}


def main() -> None:
    """Entry point: every failure becomes one line and an exit code."""
    status = _status()
    if place_in() is not None:
        from tensordyno.run.launched import farewell

        with suppress(KeyboardInterrupt):
            farewell()
    sys.exit(status)


def _status() -> int:
    debug = "--debug" in sys.argv
    status = None
    try:
        status = _serve_launch()
        if status is None:
            status = cli(standalone_mode=False, prog_name="dyno")
    except DynoError as error:
        _say(error.line())
        _trace(debug)
        return error.exit_code
    except click.ClickException as error:
        return _wrong_usage(error)
    except (KeyboardInterrupt, click.Abort):
        _say("Stopped. [interrupted]")
        return 130
    except BrokenPipeError:
        # the reader of our output left (dyno ls | head): nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SystemExit:
        pass  # click leaves so after a shell's completion, rich when it meets a broken pipe; none of ours
    except Exception as error:  # a bug of ours: still one line, and how to see more
        _say(f"{type(error).__name__}: {error} Run again with: dyno --debug ... [internal-error]")
        _trace(debug)
        return 70
    return status if isinstance(status, int) else 0


def _serve_launch() -> int | None:
    """Serve rank 0 where a launcher started us beside it; None: we are to do what was asked ourselves."""
    place = place_in()
    if place is None or place.rank == 0:
        return None
    from tensordyno.run.launch_serve import serve_launch

    return serve_launch(place)


def _wrong_usage(error: click.ClickException) -> int:
    """Click's own complaints in our form; a verb without anything gets its help."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
        return error.exit_code
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "dyno"
    text = " ".join(error.format_message().split())
    _say(f"{text.rstrip('.')}. Type: {path} --help [bad-usage]")
    return error.exit_code


def _say(line: str) -> None:
    print(f"dyno: {' '.join(line.splitlines())}", file=sys.stderr)


def _trace(debug: bool) -> None:
    if debug:
        traceback.print_exc()


if __name__ == "__main__":
    main()
