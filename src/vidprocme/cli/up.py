"""`vidprocme up`: the server and a pool, kept alive by a small supervisor. `vidprocme worker`: one more pool."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from types import FrameType

import click

from vidprocme.cli.options import house_of
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.monitor.alive import Mark
from vidprocme.monitor.logs import set_up
from vidprocme.wiring import House

PR_SET_PDEATHSIG = 1
# After being told to hand everything back, this long for it; then the leases end by themselves. Whatever hangs, the process
# is over a little later.
HAND_BACK_S, DIE_AFTER_S = 10, 15

SIM_GPUS = click.option(
    "--sim-gpus",
    metavar="N",
    type=click.IntRange(0, 64),
    help="Simulated GPUs: model places whose models run on the CPU.",
)
CORES = click.option(
    "--cores", metavar="N", type=click.IntRange(0, 4096), help="Cores for attempts (default: all there are)."
)


@click.command()
@click.option("--host", metavar="ADDRESS", help="Where to listen (default 127.0.0.1).")
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), help="Port (default 8484); 0 picks a free one.")
@click.option("--allow-network", is_flag=True, help="Listen where other machines can reach it: with a key.")
@click.option("--no-pool", is_flag=True, help="The server alone: pools elsewhere (`vidprocme worker`) do the work.")
@SIM_GPUS
@CORES
@click.pass_context
def up(
    ctx: click.Context,
    host: str | None,
    port: int | None,
    allow_network: bool,
    no_pool: bool,
    sim_gpus: int | None,
    cores: int | None,
) -> int:
    """Run the server and a pool of workers for the data folder.

    Ctrl-C drains: nothing new begins, and what runs is finished. Ctrl-C again hands running work back and ends at once.
    """
    from vidprocme.cli.supervise import Supervisor, listen, only_server

    with house_of(ctx, host=host, port=port, sim_gpus=sim_gpus, cores=cores) as house:
        settings = house.settings
        with only_server(house.data), listen(settings.host, settings.port, allow_network=allow_network) as listener:
            # The queue is opened here first: what is wrong with it is told at once, and it stays while children restart.
            _ = house.queue
            return Supervisor(house.data, listener, settings, network=allow_network, pool=not no_pool).run()


@click.command()
@SIM_GPUS
@CORES
@click.option("--parent", type=int, default=0, hidden=True, help="Hand everything back when this process ends.")
@click.pass_context
def worker(ctx: click.Context, sim_gpus: int | None, cores: int | None, parent: int) -> int:
    """Run one more pool for the same data folder or Redis.

    Ctrl-C or TERM drains: what runs is finished. The second one hands it back uncharged and ends at once.
    """
    stop = _Stop(has_parent=bool(parent))
    if parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGHUP)
        if os.getppid() != parent:
            return 0
    with house_of(ctx, sim_gpus=sim_gpus, cores=cores) as house:
        set_up(house.settings.log_level)
        _serve(house, stop, quiet=bool(parent))
    return 0


class _Stop:
    """Counts what a person has asked for: 1 drain, 2 hand back. Signal handlers only count; the loop looks."""

    def __init__(self, *, has_parent: bool) -> None:
        self.asked = 0
        self.asked_twice_s = 0.0
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)
        # Ignored: started with nohup. A parent's end must be heard all the same.
        if has_parent or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._ask_twice)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        if self.asked == 2:
            self.asked_twice_s = time.monotonic()
            signal.alarm(DIE_AFTER_S)

    def _ask_twice(self, number: int, frame: FrameType | None) -> None:
        """The parent or the terminal is gone: nobody is left to ask a second time."""
        self._ask(number, frame)
        if self.asked < 2:
            self._ask(number, frame)


def _serve(house: House, stop: _Stop, *, quiet: bool) -> None:
    with house.pool() as pool, contextlib.closing(Mark(house.data, "pool")) as mark:
        if not quiet:
            click.echo(f"At work on {house.data} with {len(house.places())} places. Ctrl-C drains.", err=True)
        pool.run(_Obeying(pool, stop, mark, quiet=quiet))


class _Obeying:
    """The loop's question whether it is over: looks at what was asked, in the loop's own thread, and marks that it moves."""

    def __init__(self, pool: Dispatcher, stop: _Stop, mark: Mark, *, quiet: bool) -> None:
        self._pool, self._stop, self._mark, self._quiet = pool, stop, mark, quiet
        self._obeyed = 0

    def __call__(self) -> bool:
        self._mark.touch()
        if self._stop.asked >= 1 and self._obeyed < 1:
            self._obeyed = 1
            self._pool.drain()
            if not self._quiet and self._pool.busy:
                click.echo(f"Draining: {self._pool.busy} attempts end first. Ctrl-C again hands them back.", err=True)
        if self._stop.asked >= 2 and self._obeyed < 2:
            self._obeyed = 2
            self._pool.hand_back()
        return self._obeyed == 2 and time.monotonic() - self._stop.asked_twice_s > HAND_BACK_S
