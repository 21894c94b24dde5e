"""Waits for the list of jobs where it is being made: until then what fits a filter is a part of what does, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from vidprocme.client.base import Client, Document
from vidprocme.client.patience import Patience
from vidprocme.core.errors import Retryable

NOT_READY = "LIST_NOT_READY"
T = TypeVar("T")


def when_ready(ask: Callable[[], T]) -> T:
    """What this asks, once there is a list; that it is waited for is said once.

    Raises:
        Retryable: LIST_NOT_READY, after about a minute.
    """
    patience, is_told = Patience(), False
    while True:
        try:
            return ask()
        except Retryable as error:
            if error.code != NOT_READY:
                raise
            if not is_told:
                click.echo("The list of jobs is being made. It is waited for.", err=True)
            is_told = True
            patience.rest(error)


def all_jobs(client: Client, filter_: Mapping[str, Any]) -> list[Document]:
    """The JobSummaries that fit.

    Raises:
        Retryable: LIST_NOT_READY.
    """

    def ask() -> list[Document]:
        if client.ask("GET", "/v1/jobs", params={"limit": 1})["as_of"] is None:
            raise Retryable(NOT_READY, "The list of jobs is being made.", "Ask again in a moment.")
        return list(client.items("/v1/jobs", filter_))

    return when_ready(ask)
