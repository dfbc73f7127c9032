"""A rank above 0 of a launch: it starts and ends workers as rank 0 asks, and is silent."""

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic, sleep
from types import FrameType

import msgspec

from tensordyno.errors import DynoError, WorkerFailure
from tensordyno.run import launch_kin
from tensordyno.run.child import ChildSetup, Ends, LocalChild
from tensordyno.run.launch_place import Place
from tensordyno.run.launch_talk import LONGEST, News, address_of, hello, is_ours, new_socket, send

_SEARCH_S = 10.0  # for rank 0 to show up among the processes
_GRACE_S = 10.0  # after SIGTERM: rank 0 got it too, and records what was in progress before it leaves


def serve_launch(place: Place) -> int:
    """Serve rank 0 until it leaves; the exit status. Without a rank 0 to serve, raises WorkerFailure."""
    signal.signal(signal.SIGINT, _ignore)
    if not place.on_one_host:  # rank 0 says so
        return 0
    connection = meet(address_of(place), place)
    if connection is not None:
        with connection:
            Helper(connection, place.rank).serve()
    return 0


def meet(address: str, place: Place, search_s: float = _SEARCH_S) -> socket.socket | None:
    """The connection to rank 0, as soon as it listens; None when it leaves without having needed us.

    Raises WorkerFailure (`rank-missing`) when no rank 0 is seen within `search_s` seconds.
    """
    deadline, pause_s = monotonic() + search_s, 0.02
    rank0: launch_kin.Process | None = None
    while (connection := _connected(address)) is None:
        rank0 = rank0 or launch_kin.ranks(place.variable).get(0)
        if rank0 is None and monotonic() > deadline:
            raise WorkerFailure(
                "rank-missing",
                f"This is rank {place.rank} of {place.size}, and no rank 0 runs the same command beside it.",
                f"Without a launcher, type: env -u {place.variable} dyno ...",
            )
        if rank0 is not None and not launch_kin.is_alive(rank0):
            return None
        sleep(pause_s)
        pause_s = min(0.25, 1.5 * pause_s)
    return connection


class Helper:
    """Serves rank 0 in a single thread: the kernel ends workers with the thread that started them."""

    def __init__(self, connection: socket.socket, rank: int) -> None:
        self._connection = connection
        self._rank = rank
        self._children: dict[socket.socket, LocalChild] = {}
        self._reported: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._leave_at = inf

    def serve(self) -> None:
        """Start and end workers until rank 0 leaves, or a while after SIGTERM; none stays behind."""
        woken, waking = socket.socketpair()
        waking.setblocking(False)
        signals = {n: self._leave_soon for n in (signal.SIGTERM, signal.SIGHUP)}
        before = _handle({signal.SIGCHLD: _ignore, signal.SIGINT: _ignore, **signals})
        wakeup = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        try:
            self._selector.register(woken, selectors.EVENT_READ)
            self._selector.register(self._connection, selectors.EVENT_READ)
            send(self._connection, hello(self._rank))
            while self._step(woken):
                pass
        except ConnectionError:  # rank 0 left in the middle of a message
            pass
        finally:
            for news in tuple(self._children):
                self._end(news)
            signal.set_wakeup_fd(wakeup)
            _handle(before)
            self._selector.close()
            woken.close()
            waking.close()

    def _step(self, woken: socket.socket) -> bool:
        """Wait for something to happen and answer it; False when it is time to leave."""
        left_s = self._leave_at - monotonic()
        for key, _ in self._selector.select(None if left_s == inf else max(0.0, left_s)):
            if key.fileobj is woken:
                woken.recv(LONGEST)
                self._report_ends()
            elif key.fileobj is self._connection:
                if not self._obey():
                    return False
            elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._children:
                self._end(key.fileobj)
        return monotonic() < self._leave_at

    def _obey(self) -> bool:
        """Start the worker that rank 0 asks for; False when rank 0 has left."""
        flags = socket.MSG_CMSG_CLOEXEC
        data, descriptors, _, _ = socket.recv_fds(self._connection, LONGEST, 4, flags)
        if not data:
            return False
        *ends, news = descriptors
        try:
            self._start(msgspec.json.decode(data, type=ChildSetup), Ends(*ends), socket.socket(fileno=news))
        finally:
            for descriptor in ends:
                os.close(descriptor)
        return True

    def _start(self, setup: ChildSetup, ends: Ends, news: socket.socket) -> None:
        try:
            child = LocalChild(setup, ends)
        except (OSError, DynoError) as wrong:
            _tell(news, News(failure=str(wrong)))
            news.close()
            return
        self._children[news] = child
        self._selector.register(news, selectors.EVENT_READ)
        _tell(news, News(pid=child.pid))

    def _report_ends(self) -> None:
        """Say which workers have ended; what they started themselves lives until rank 0 lets go of them."""
        for news, child in self._children.items():
            if news not in self._reported and child.status is not None:
                self._reported.add(news)
                _tell(news, News(status=child.status))

    def _end(self, news: socket.socket) -> None:
        """Rank 0 has let go of a worker."""
        child = self._children.pop(news)
        self._reported.discard(news)
        self._selector.unregister(news)
        child.kill()
        _tell(news, News(status=child.status))
        news.close()

    def _leave_soon(self, number: int, frame: FrameType | None) -> None:
        self._leave_at = min(self._leave_at, monotonic() + _GRACE_S)


def _connected(address: str) -> socket.socket | None:
    """The other end if somebody of ours listens at `address`."""
    connection = new_socket()
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        return None
    if is_ours(connection):
        return connection
    connection.close()
    raise WorkerFailure("rank-missing", "Another user's process stands where rank 0 should be.")


def _tell(news: socket.socket, what: News) -> None:
    with contextlib.suppress(OSError):  # rank 0 no longer listens
        send(news, what)


Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


def _handle(handlers: Mapping[signal.Signals, Handler]) -> dict[signal.Signals, Handler]:
    """Set these handlers, except where a signal is ignored (nohup); returns the ones before."""
    before = {number: signal.getsignal(number) for number in handlers}
    changed = {n: handler for n, handler in before.items() if handler is not signal.SIG_IGN}
    for number in changed:
        signal.signal(number, handlers[number])
    return changed


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing, unlike SIG_IGN in this process only: a worker would inherit that."""
