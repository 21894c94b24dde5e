"""A connection to a Redis or Valkey server: made, judged, and its errors put in our words."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from vidprocme.core.errors import BadWish, Fatal, Retryable, VidprocmeError
from vidprocme.queue.base import ServerInfo

OLDEST = (6, 2)
BLOCK_MOST_S = 5.0  # one blocking command; longer waits are several
HURRY_S = 0.5
TIMEOUT_S = 10.0  # a reply that takes longer than this is not coming

# It does not serve now, and will: it loads, is busy with a script, lost its master or its replicas, or another one takes over.
AWAY = frozenset(
    {
        "LOADING",
        "READONLY",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "NOREPLICAS",
        "TRYAGAIN",
        "MOVED",
        "ASK",
        "UNBLOCKED",
        "BUSY",
    }
)

Client = redis.Redis  # the sync client: the loop is synchronous


def open_client(url: str) -> redis.Redis:
    """A client for `redis://`, `rediss://`, `unix://` or the path of a unix socket. Connects at its first command.

    Raises:
        BadWish: QUEUE_BAD_URL.
    """
    address = f"unix://{url}" if url.startswith("/") else url
    try:
        return redis.Redis.from_url(
            address,
            decode_responses=True,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # One repeat on a fresh connection: a server that was restarted between two calls is not an error. Every
            # script may be said twice, so a reply that was lost on the way is harmless.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError as error:
        raise BadWish(
            "QUEUE_BAD_URL",
            f"'{masked(url)}' is not the address of a Redis server: {error}.",
            "Use redis://HOST:6379/0, rediss://..., or unix:///path/of/redis.sock.",
        ) from error


def answers(client: redis.Redis, within_s: float) -> bool:
    """Whether the server answers now, on a connection of its own."""
    connection: Any = client.connection_pool.make_connection()
    connection.socket_timeout = connection.socket_connect_timeout = within_s
    connection.retry = Retry(NoBackoff(), 0)
    try:
        connection.send_command("PING")
        connection.read_response()
    except RedisError as error:
        return not isinstance(error, redis.ConnectionError | redis.TimeoutError)
    finally:
        connection.disconnect()
    return True


def hurry(client: redis.Redis, others: Iterable[Any]) -> None:
    """Wait no longer than HURRY_S for any reply, and cut off the calls that wait for one now.

    Args:
        others: connections that were made by the client's pool, and are not kept in it.
    """
    pool: Any = client.connection_pool
    short = {"socket_timeout": HURRY_S, "socket_connect_timeout": HURRY_S, "retry": Retry(NoBackoff(), 0)}
    pool.connection_kwargs.update(short)
    for connection in (*others, *tuple(pool._available_connections), *tuple(pool._in_use_connections)):
        for name, value in short.items():
            setattr(connection, name, value)
        with suppress(OSError, AttributeError):  # not connected, or not any more
            connection._sock.shutdown(socket.SHUT_RDWR)


def masked(url: str) -> str:
    """The address without its password, for people and logs."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    return url.replace(f":{parts.password}@", ":***@")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the client's exceptions into ours; `where` is named in them."""
    try:
        yield
    except RedisError as error:
        raise translate(error, where) from error


def translate(error: RedisError, where: str) -> VidprocmeError:
    """Our error for one of the client's."""
    text = str(error)
    evidence = {"server": where, "reply": text[:500]}
    if isinstance(error, redis.OutOfMemoryError) or "OOM " in text:
        return Retryable(
            "QUEUE_FULL",
            f"The Redis server at {where} has no memory left for new work.",
            "Raise its maxmemory (redis-cli CONFIG SET maxmemory ...; the embedded server's: VIDPROCME_REDIS_MEMORY_MB), or drop what has ended: `vidprocme jobs drop`. What was "
            "accepted goes on, and can be cancelled, retried and moved.",
            evidence,
        )
    if "MISCONF" in text:
        return Retryable(
            "QUEUE_DISK",
            f"The Redis server at {where} cannot write to its disk and takes nothing new.",
            "Free some space on its disk; it goes on by itself.",
            evidence,
        )
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError) or "WRONGPASS" in text:
        return Fatal(
            "QUEUE_DENIED",
            f"The Redis server at {where} did not accept our user or password, or forbids a command: {text}.",
            "Check the user and password in the address (VIDPROCME_REDIS_URL).",
            evidence,
        )
    if _word(error) in AWAY or isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return Retryable(
            "QUEUE_UNREACHABLE",
            f"The Redis server at {where} does not answer: {text.rstrip('.')}.",
            "Check that it runs and can be reached from here; nothing accepted was lost.",
            evidence,
        )
    return Fatal(
        "QUEUE_FAULT",
        f"The Redis server at {where} refused a command: {text}.",
        "This is a fault of vidprocme, or somebody else changed its keys; please report it with the evidence.",
        evidence,
    )


def _word(error: RedisError) -> str:
    """The word that says what is wrong. redis-py cuts some off the text and keeps them apart; inside a script an error is all
    text, with other words before its own on the oldest servers."""
    said = getattr(error, "status_code", None)
    if said and said != "ERR":
        return str(said)
    return next((word for word in str(error).replace("-", " ").split() if word in AWAY), "")


def version_of(info: dict[str, Any]) -> tuple[str, str]:
    """The server's name and version from INFO. Valkey calls itself Redis 7.2.4 and says its own version beside it."""
    if info.get("server_name") == "valkey" or "valkey_version" in info:
        return "valkey", str(info.get("valkey_version", info.get("redis_version", "0")))
    return "redis", str(info.get("redis_version", "0"))


def version_tuple(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def examine(client: redis.Redis, where: str, *, ours: bool = False) -> ServerInfo:
    """What server this is; refuses one that would lose work.

    Args:
        ours: the embedded server, whose settings are ours.

    Raises:
        Retryable: QUEUE_UNREACHABLE.
        Fatal: QUEUE_SERVER_TOO_OLD, QUEUE_EVICTS, QUEUE_DENIED.
    """
    found = describe(client, where, ours=ours)
    if found.name == "redis" and version_tuple(found.version) < OLDEST:
        raise Fatal(
            "QUEUE_SERVER_TOO_OLD",
            f"The server at {where} is Redis {found.version}; 6.2 or newer is needed.",
            "Update it, or leave VIDPROCME_REDIS_URL empty to use the one that comes with vidprocme.",
            {"server": where, "version": found.version},
        )
    if found.policy != "noeviction" and not ours:
        raise Fatal(
            "QUEUE_EVICTS",
            f"The server at {where} throws keys away when its memory is full (maxmemory-policy {found.policy}): "
            "jobs would be lost.",
            "Set `maxmemory-policy noeviction` there (redis-cli CONFIG SET maxmemory-policy noeviction), or use another server.",
            {"server": where, "policy": found.policy},
        )
    return found


def describe(client: redis.Redis, where: str, *, ours: bool = False) -> ServerInfo:
    """What server this is, good or not.

    Args:
        ours: the embedded server, whose file its keeper syncs every second (syncing.py).

    Raises:
        Retryable: QUEUE_UNREACHABLE. Fatal: QUEUE_DENIED.
    """
    with translated(where):
        info: dict[str, Any] = dict(client.info())  # type: ignore[arg-type]  # the stub also covers the async client
        appendfsync, save = _setting(client, "appendfsync"), _setting(client, "save")
    if ours and appendfsync == "no":
        appendfsync = "everysec"
    name, version = version_of(info)
    snapshots = "rdb" if save or save is None else "none"
    persistence = f"aof {appendfsync or ''}".strip() if info.get("aof_enabled") else snapshots
    # A rewrite that failed (no memory to fork) loses nothing: the old file goes on being written.
    files = ["aof_last_write_status"] if info.get("aof_enabled") else []
    files += ["rdb_last_bgsave_status"] if save or save is None else []
    return ServerInfo(
        name,
        version,
        persistence,
        str(info.get("maxmemory_policy", "noeviction")),
        used_bytes=int(info.get("used_memory", 0)),
        where=where,
        limit_bytes=int(info.get("maxmemory", 0)),
        writes_ok=all(info.get(status, "ok") == "ok" for status in files),
    )


def _setting(client: redis.Redis, name: str) -> str | None:
    """One of the server's settings; None where CONFIG is forbidden (managed servers)."""
    try:
        answer: dict[str, str] = dict(client.config_get(name))  # type: ignore[arg-type]
    except redis.ResponseError:
        return None
    return answer.get(name)
