"""What the ranks of a launch say to each other, and the socket they meet at.

Rank 0 listens; every other rank connects once and stays connected as long as it lives. For each worker rank 0
sends four file descriptors along: the worker's ends of its pipes, its log, and an end of a socket that brings
news of that worker and whose closing ends it. The conversation with the worker then runs through the same
pipes as with a child of rank 0.
"""

import hashlib
import os
import socket
import struct
from typing import TypeVar

import msgspec

from tensordyno.records.base import Record
from tensordyno.run import launch_kin
from tensordyno.run.launch_place import Place

R = TypeVar("R", bound=Record)

LONGEST = 1 << 16  # bytes of a message
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class Hello(Record, frozen=True, kw_only=True):
    """A rank presents itself."""

    rank: int
    pid: int
    affinity: tuple[int, ...]  # logical CPUs that it may use
    gpus: str | None = None  # its CUDA_VISIBLE_DEVICES


class News(Record, frozen=True, kw_only=True):
    """What became of a worker: it runs, it could not be started, or it has ended."""

    pid: int | None = None
    failure: str = ""
    status: int | None = None


def hello(rank: int) -> Hello:
    """This process, presented."""
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    return Hello(rank=rank, pid=os.getpid(), affinity=tuple(sorted(os.sched_getaffinity(0))), gpus=gpus)


def address_of(place: Place) -> str:
    """Where the ranks of this launch meet: an abstract address, which leaves no file behind."""
    launcher = launch_kin.launcher(place.variable)
    parts = (os.getuid(), *launcher, place.variable, place.size, launch_kin.command_line())
    return f"\0tensordyno-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


def new_socket() -> socket.socket:
    """A socket that keeps messages apart."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def is_ours(connection: socket.socket) -> bool:
    """Whether the other end belongs to the same user: anybody may connect to an abstract address."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(raw)[1] == os.getuid())


def send(connection: socket.socket, message: Record, descriptors: tuple[int, ...] = ()) -> None:
    """Send a message. Raises OSError when the other end is gone."""
    socket.send_fds(connection, [msgspec.json.encode(message)], descriptors)


def receive(connection: socket.socket, kind: type[R]) -> R | None:
    """The next message; None when the other end is gone. Raises TimeoutError."""
    try:
        data = connection.recv(LONGEST)
    except ConnectionResetError:
        return None
    return msgspec.json.decode(data, type=kind) if data else None
