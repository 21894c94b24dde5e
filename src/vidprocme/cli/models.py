"""`vidprocme models`: what can write captions here."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from vidprocme.cli.options import house_of
from vidprocme.cli.summary import size_text
from vidprocme.vision.registry import RegisteredModel, Registry, why_silent


@click.group()
def models() -> None:
    """List and add vision-language models. Nothing is ever downloaded."""


@models.command("ls")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def list_models(ctx: click.Context, as_json: bool) -> None:
    """The models known here; * marks the one used when none is named."""
    with house_of(ctx) as house:
        registry = Registry(house.data)
        known, default = registry.all(), registry.default(house.settings.model or None)
    if as_json:
        items = [{**asdict(model), "default": model == default} for model in known]
        click.echo(json.dumps({"items": items}, ensure_ascii=False))
        return
    for model in known:
        mark = "*" if model == default else " "
        click.echo(f"{mark} {model.id:<20} {where(model)}")
    if default is None:
        click.echo("No model for your own videos yet: vidprocme models add PATH_OR_URL", err=True)


@models.command("add")
@click.argument("path_or_url")
@click.option("--name", help="Its id here (default: from the file's name).")
@click.option("--mmproj", type=click.Path(dir_okay=False), help="The vision part, when it is not beside PATH.")
@click.option("--server-model", help="A server's name for the model, when it has several.")
@click.option("--api-key-env", help="Name of the environment variable that holds a server's key.")
@click.pass_context
def add(
    ctx: click.Context,
    path_or_url: str,
    name: str | None,
    mmproj: str | None,
    server_model: str | None,
    api_key_env: str | None,
) -> None:
    """Register a GGUF file (or a folder with a pair), or the address of an OpenAI-style server."""
    with house_of(ctx) as house:
        model = Registry(house.data).add(path_or_url, name, mmproj, server_model, api_key_env)
    click.echo(f"{model.id}: {where(model)}")
    if silent := why_silent(model):
        click.echo(
            f"warning: {model.url} is added but does not answer now: {silent}. Start it before you use it.", err=True
        )
    click.echo(f"Try it: vidprocme process VIDEO --out DIR --model {model.id}", err=True)


@models.command("rm")
@click.argument("model_id")
@click.pass_context
def remove(ctx: click.Context, model_id: str) -> None:
    """Forget a model. Its files stay."""
    with house_of(ctx) as house:
        Registry(house.data).remove(model_id)


def where(model: RegisteredModel) -> str:
    """Where a model is, in a few words."""
    if model.on_server:
        return f"server at {model.url}" + (f" ({model.server_model})" if model.server_model else "")
    if model.is_demo:
        return model.label
    state = "" if Path(model.path).exists() else "  MISSING"
    return f"{model.path}  {size_text(model.estimated_bytes)}{state}"
