"""The HTTP server: `create_app` puts the routes together, `python -m vidprocme.api.server` runs them on a socket it is given."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Collection, Sequence

import uvicorn
from fastapi import Depends, FastAPI

from vidprocme import __version__
from vidprocme.api import alerts, fleet, form, library, overview
from vidprocme.api.alarming import alarm_of
from vidprocme.api.arriving import Arriving
from vidprocme.api.describe import describe
from vidprocme.api.desk import Desk
from vidprocme.api.door import Door, check_doors
from vidprocme.api.guard import Guard
from vidprocme.api.idempotency import Idempotency
from vidprocme.api.imports import fetch
from vidprocme.api.operations import Operations
from vidprocme.api.params import known_params
from vidprocme.api.problems import install
from vidprocme.api.rooms import ROOMS
from vidprocme.api.ui import Pages
from vidprocme.config import load
from vidprocme.core.errors import VidprocmeError
from vidprocme.dispatch.follower import Follower
from vidprocme.monitor.alive import Mark
from vidprocme.monitor.logs import set_up
from vidprocme.wiring import House

PR_SET_PDEATHSIG = 1
GRACE_S = 3  # what is being answered when the end comes
MARK_EVERY_S = 5.0


def create_app(house: House, *, hosts: Collection[str] | None = (), network: bool = False) -> FastAPI:
    """The API over a house, which the caller closes. While it runs, it also follows what is published, for the search.

    Args:
        hosts: names of this server beside those of loopback: requests under other names are refused. None: any will do.
        network: other machines can reach it: nobody is let in without a key (but see VIDPROCME_AUTH).
    """
    desk = Desk(house)
    arriving = Arriving(desk, fetch)
    operations = Operations(desk)
    desk.alarm = alarm_of(desk)
    desk.open_alerts = lambda: alerts.open_alerts(desk)

    @contextlib.asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        form.sweep(house.data / "uploads")
        follower = Follower(lambda: desk.queue, lambda: desk.blobs, house.open_index, house.follower_lock, house.at)
        follower.start()
        arriving.start()
        with contextlib.suppress(VidprocmeError):  # without a queue there is nothing to sweep yet
            await asyncio.to_thread(operations.sweep)
        desk.hub.gauges.update(fleet=lambda: fleet.fleet(desk), overview=lambda: overview.overview(desk))
        desk.hub.start()
        desk.alarm.start()
        marking = asyncio.create_task(_mark(house))
        removing = asyncio.create_task(library.keep_removing(desk))
        try:
            yield
        finally:
            marking.cancel()
            removing.cancel()
            await asyncio.gather(
                arriving.stop(),
                desk.hub.stop(),
                asyncio.to_thread(follower.stop),
                asyncio.to_thread(operations.stop),
                asyncio.to_thread(desk.alarm.stop),
            )
            desk.close()

    app = FastAPI(
        title="vidprocme",
        version=__version__,
        description="Videos in; renditions, captions and searchable moments out.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        lifespan=life,
        dependencies=[Depends(known_params)],
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.desk = desk
    app.state.arriving = arriving
    app.state.operations = operations
    install(app)
    check_doors(room.router for room in ROOMS)
    for room in ROOMS:
        app.include_router(room.router)
    app.router.routes.append(Pages())  # the last: it takes what is nobody else's
    app.add_middleware(Idempotency, desk=desk)
    app.add_middleware(Door, desk=desk, network=network)
    app.add_middleware(Guard, desk=desk, hosts=hosts)
    describe(app)
    return app


class Ending(uvicorn.Server):
    """Ends its streams first: a stream has no end of its own, and uvicorn waits for what is being answered."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        assert isinstance(app, FastAPI)
        app.state.desk.hub.end_streams()
        await super().shutdown(sockets)


async def _mark(house: House) -> None:
    """Say that the event loop moves, for `vidprocme alive`."""
    with contextlib.closing(Mark(house.data, "server")) as mark:
        while True:
            mark.touch()
            await asyncio.sleep(MARK_EVERY_S)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until TERM, on a listening socket whose number is given; die when the parent dies."""
    parser = argparse.ArgumentParser(prog="python -m vidprocme.api.server")
    parser.add_argument("--fd", type=int, required=True, help="a listening TCP socket")
    parser.add_argument("--parent", type=int, default=0, help="end when this process ends")
    parser.add_argument("--network", action="store_true", help="the socket can be reached from other machines")
    options = parser.parse_args(argv)
    if options.parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != options.parent:
            sys.exit(0)
    settings = load()
    set_up(settings.log_level)
    named = frozenset(settings.hosts.lower().replace(",", " ").split())
    hosts = None if options.network and not named else named
    with House(settings) as house, socket.socket(fileno=options.fd) as listener:
        config = uvicorn.Config(
            create_app(house, hosts=hosts, network=options.network),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=settings.proxies,
            timeout_graceful_shutdown=GRACE_S,
            lifespan="on",
        )
        Ending(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
