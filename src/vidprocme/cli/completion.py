"""`vidprocme completion`: what a shell needs."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the lines that complete verbs, options, their values and ids in a shell.

    bash: eval "$(vidprocme completion bash)" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc. fish: vidprocme completion fish >
    ~/.config/fish/completions/vidprocme.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "vidprocme", "_VIDPROCME_COMPLETE").source())
    return 0
