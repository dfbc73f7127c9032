"""`dyno completion`: the line that teaches a shell to complete dyno's commands and options."""

import click

SUMMARY = "Print the completion script of a shell."


@click.command("completion", short_help=SUMMARY)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    r"""Print the completion script of SHELL.

    \b
    bash: dyno completion bash > ~/.local/share/bash-completion/completions/dyno
    zsh:  dyno completion zsh  > "${fpath[1]}/_dyno"
    fish: dyno completion fish > ~/.config/fish/completions/dyno.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root().command
    click.echo(kind(root, {}, "dyno", "_DYNO_COMPLETE").source())
    return 0


MEMBER = command
