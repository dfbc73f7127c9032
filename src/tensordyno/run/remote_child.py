"""A worker that another rank of the launch started, as rank 0 sees it."""

import contextlib
import select
import socket

from tensordyno.run.child import ChildSetup, Ends, told
from tensordyno.run.launch_talk import News, receive, send

_START_S = 60.0  # for a rank to start a process
_END_S = 5.0  # for a rank to end one


class RemoteChild:
    """Speaks with the rank that started the worker, not with the worker: its pipes are Worker's.

    Raises ChildProcessError when the rank is gone or could not start the worker.
    """

    def __init__(self, rank: socket.socket, setup: ChildSetup, ends: Ends, name: str) -> None:
        self._name = name
        self._news, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._gone = False  # the rank, and its workers with it
        self.status: int | None = None
        try:
            with theirs, contextlib.suppress(ConnectionError):
                send(rank, setup, (*ends, theirs.fileno()))
            self.pid = self._started()
        except BaseException:
            self._news.close()
            raise

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the process has ended, at most `timeout_s` seconds; whether it has."""
        while self.status is None and not self._gone:
            if not select.select([self._news], [], [], timeout_s)[0]:
                return False
            news = receive(self._news, News)
            self.status, self._gone = (news.status, False) if news else (None, True)
        return True

    def kill(self) -> None:
        """End the process and everything it started."""
        if self._news.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self._news.shutdown(socket.SHUT_WR)  # the rank ends what belongs to it
        with contextlib.suppress(TimeoutError):
            self._news.settimeout(_END_S)
            while news := receive(self._news, News):
                self.status = news.status
        self._gone |= self.status is None
        self._news.close()

    def how_it_ended(self) -> str:
        """A sentence about its end."""
        self.wait()
        if self.status is None:
            return f"{self._name.capitalize()} is gone, and the worker with it."
        return told(self.status)

    def _started(self) -> int:
        """The process id, once the rank has started the worker."""
        self._news.settimeout(_START_S)
        try:
            news = receive(self._news, News)
        except TimeoutError:
            raise ChildProcessError(f"{self._name} does not answer") from None
        if news is None:
            raise ChildProcessError(f"{self._name} is gone")
        if news.pid is None:
            raise ChildProcessError(news.failure)
        self._news.settimeout(None)
        return news.pid
