"""`vidprocme`: the verbs, each imported when it is asked for, because start-up time is felt at every call."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from vidprocme import __version__
from vidprocme.cli import exits
from vidprocme.core.errors import Retryable, VidprocmeError

# verb -> (module, attribute, what it does)
VERBS: dict[str, tuple[str, str, str]] = {
    "process": ("vidprocme.cli.process", "process", "Take videos through the whole pipeline, here and now."),
    "submit": ("vidprocme.cli.submit", "submit", "Bring videos in, and go; files, folders, addresses, lists."),
    "up": ("vidprocme.cli.up", "up", "Run the server and a pool; Ctrl-C drains."),
    "worker": ("vidprocme.cli.up", "worker", "Run one more pool for the same queue."),
    "status": ("vidprocme.cli.status", "status", "Is work being done? Alerts, bins, and what runs where."),
    "watch": ("vidprocme.cli.watch", "watch", "One job as it goes, or the whole house."),
    "jobs": ("vidprocme.cli.jobs", "jobs", "List jobs, show one; cancel, retry, move or drop some."),
    "logs": ("vidprocme.cli.logs", "logs", "What happened to a job, from its first event on; -f follows."),
    "bins": ("vidprocme.cli.bins", "bins", "List the bins; pause, resume and limit them."),
    "nodes": ("vidprocme.cli.nodes", "nodes", "List the machines; drain one, or let it work again."),
    "tenants": ("vidprocme.cli.tenants", "tenants", "Who used how much; weights and limits."),
    "describe": ("vidprocme.cli.describe", "describe", "Add captions to a video that was processed without."),
    "search": ("vidprocme.cli.search", "search", "Find the moment in what was processed."),
    "videos": ("vidprocme.cli.videos", "videos", "List the videos, show one, open it at a moment; remove some."),
    "export": ("vidprocme.cli.export", "export", "The captions of a video as a file: srt, vtt, json, jsonl, csv."),
    "models": ("vidprocme.cli.models", "models", "List and add vision-language models."),
    "doctor": ("vidprocme.cli.doctor", "doctor", "Check this machine, each line with its fix."),
    "alive": ("vidprocme.cli.alive", "alive", "The health check of a container: do pool and server move?"),
    "index": ("vidprocme.cli.index", "index", "The search index: rebuild it."),
    "gc": ("vidprocme.cli.gc", "gc", "Free what no job needs any more."),
    "auth": ("vidprocme.cli.auth", "auth", "Keep a server's key, so that verbs find it."),
    "alerts": ("vidprocme.cli.alerts", "alerts", "What needs a person: list, acknowledge, silence; rules."),
    "webhooks": ("vidprocme.cli.webhooks", "webhooks", "Addresses that are told what happens."),
    "keys": ("vidprocme.cli.keys", "keys", "Make, list and revoke the server's own keys."),
    "api": ("vidprocme.cli.api", "api", "Ask any path of the HTTP API."),
    "completion": ("vidprocme.cli.completion", "completion", "What a shell needs to complete verbs and ids."),
    "sim": ("vidprocme.cli.sim", "sim", "Simulate a GPU cluster under the live policy."),
}


class LazyGroup(click.Group):
    """A group whose verbs are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, message="vidprocme %(version)s")
@click.option("--data", metavar="DIR", help="Data folder (default: $VIDPROCME_DATA, else the platform's).")
@click.option("--server", metavar="URL", help="Ask that server over HTTP (or $VIDPROCME_SERVER), not the data folder.")
@click.pass_context
def root(ctx: click.Context, data: str | None, server: str | None) -> None:
    """Turn videos into something you can watch anywhere and search by what is in them.

    Start with:  vidprocme process VIDEO --out DIR
    """
    ctx.obj = {"data": data, "server": server}


def fail(error: VidprocmeError) -> int:
    """Say what is wrong, on stderr; returns the exit status."""
    from vidprocme.cli.hints import for_the_command_line
    from vidprocme.cli.wrap import wrapped

    hint = for_the_command_line(error.hint)
    for line in wrapped(f"error {error.code}: {error.message}", "") + (wrapped(hint, "  ") if hint else []):
        click.echo(line, err=True)
    return exits.status_of(error)


def main(argv: list[str] | None = None) -> None:
    """The program's entry; exit statuses are those of cli/exits.py."""
    try:
        result: Any = root.main(args=argv, prog_name="vidprocme", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(exits.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except VidprocmeError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(exits.FAILED)
    except OSError as error:  # the machine said no where nobody had thought of it: a sentence, not a trace
        sys.exit(fail(Retryable("OS_ERROR", f"{error.strerror or error}: {error.filename or 'no file named'}.")))


if __name__ == "__main__":
    main()
