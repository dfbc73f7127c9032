"""`dyno` under torchrun, mpirun or srun: rank 0 runs the run, and the others start workers for it."""

import os
import socket
from contextlib import suppress
from functools import cache
from time import monotonic, sleep

import msgspec

from tensordyno.errors import UsageError, WorkerFailure
from tensordyno.plan.host import Host
from tensordyno.run import launch_kin
from tensordyno.run.child import Child, ChildSetup, Ends
from tensordyno.run.launch_place import Place, place_in
from tensordyno.run.launch_talk import Hello, address_of, hello, is_ours, new_socket, receive
from tensordyno.run.remote_child import RemoteChild

GATHER_S = 60.0  # for every rank to appear
_LATE_S = 10.0  # for ranks that still start when rank 0 is done
_GLANCE_S = 0.2  # at the processes: a rank may have left without a word
_ALONE_S = 2.0  # without any sign of another rank
_GREETING_S = 5.0  # between connecting and presenting itself


class Launch:
    """The launch as rank 0 sees it. `gather` waits for the other ranks, `start` has one start a worker."""

    def __init__(self, place: Place, address: str) -> None:
        self.rank = place.rank
        self.size = place.size
        self.launcher = place.launcher
        self._hellos = {0: hello(0)}
        self._ranks: dict[int, socket.socket] = {}
        self._gpus: str | None = None
        self._listener = new_socket()
        try:
            self._listener.bind(address)
            self._listener.listen(place.size)
        except OSError as wrong:
            self.close()
            raise WorkerFailure("rank-missing", f"The ranks of this launch cannot meet: {wrong}.") from wrong

    def gather(self, patience_s: float = GATHER_S) -> None:
        """Wait until every rank is there; afterwards this costs nothing.

        Raises WorkerFailure (`rank-missing`) for one that does not appear within `patience_s` seconds,
        UsageError (`rank-devices`) when the launcher hid GPUs from ranks in a way that cannot be undone.
        """
        deadline = monotonic() + patience_s
        while missing := [rank for rank in range(1, self.size) if rank not in self._ranks]:
            try:
                self._listener.settimeout(max(0.001, deadline - monotonic()))
                self._welcome(self._listener.accept()[0])
            except TimeoutError:
                raise self._absent(missing, patience_s) from None
        if self._gpus is None:
            self._gpus = shared_gpus([self._hellos[rank].gpus for rank in range(self.size)]) or ""
        if self._gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = self._gpus

    @property
    def pids(self) -> dict[int, int]:
        """Process id of each rank that is there."""
        return {rank: told.pid for rank, told in self._hellos.items()}

    @property
    def binds(self) -> bool:
        """Whether the launcher gave each rank cores of its own, so that workers need not share them out."""
        given = [core for told in self._hellos.values() for core in told.affinity]
        return len(given) == len(set(given))

    def start(self, rank: int, setup: ChildSetup, ends: Ends) -> Child:
        """A worker that this rank starts, bound as the launcher bound the rank.

        Raises what `gather` raises, and ChildProcessError when the rank has gone or cannot start it.
        """
        self.gather()
        if rank not in self._ranks:
            raise ChildProcessError(f"it would be rank {rank}, and this launch has {self.size} ranks")
        name = f"rank {rank} of the launch (process {self.pids[rank]})"
        setup = msgspec.structs.replace(setup, folder=os.getcwd(), gpus=self._gpus or None)
        return RemoteChild(self._ranks[rank], setup, ends, name)

    def await_late(self, variable: str, patience_s: float) -> None:
        """Take in the ranks that live and have not connected yet; those that do not come are left behind."""
        deadline = monotonic() + patience_s
        self._listener.settimeout(_GLANCE_S)
        while set(launch_kin.ranks(variable)) - set(self.pids) and monotonic() < deadline:
            with suppress(TimeoutError):
                self._welcome(self._listener.accept()[0])

    def close(self) -> None:
        """Let the other ranks leave."""
        for connection in (self._listener, *self._ranks.values()):
            connection.close()

    def _welcome(self, connection: socket.socket) -> None:
        """Take in a rank; whoever else connected is sent away."""
        connection.settimeout(_GREETING_S)
        try:
            told = receive(connection, Hello) if is_ours(connection) else None
        except (TimeoutError, msgspec.DecodeError):
            told = None
        if told is None or told.rank in self._hellos:
            connection.close()
            return
        connection.settimeout(None)
        self._hellos[told.rank], self._ranks[told.rank] = told, connection

    def _absent(self, missing: list[int], patience_s: float) -> WorkerFailure:
        named = f"rank {missing[0]}" if len(missing) == 1 else f"ranks {', '.join(map(str, missing))}"
        return WorkerFailure(
            "rank-missing",
            f"{named.capitalize()} of {self.size} did not appear within {patience_s:g} s.",
            "Every rank must run the same dyno command, on this host and in the same container.",
        )


@cache
def from_environment() -> Launch | None:
    """The launch whose rank 0 this process is; None when it stands alone.

    Variables that somebody left behind, or that a rank's child inherited, are no launch: another rank must
    run the same command. Raises UsageError (`several-hosts`) for ranks on other hosts, WorkerFailure
    (`rank-missing`) when their meeting point cannot be had.
    """
    place = place_in()
    if place is None or place.rank > 0:
        return None
    if not place.on_one_host:
        raise UsageError(
            "several-hosts",
            f"This launch has {place.size} ranks on several hosts; this version measures on one.",
            "Start all ranks on one host, for example: torchrun --standalone --nproc-per-node 4 ...",
        )
    return Launch(place, address_of(place)) if _has_company(place) else None


def farewell(patience_s: float = _LATE_S) -> None:
    """Rank 0 leaves: ranks that are still starting must meet it, lest they wait for one to come."""
    place = place_in()
    if place is None or place.rank > 0 or not place.on_one_host or not launch_kin.ranks(place.variable):
        return
    known = from_environment() if from_environment.cache_info().currsize else None
    with suppress(WorkerFailure):  # nobody to meet is no trouble any more
        launch = known or Launch(place, address_of(place))
        launch.await_late(place.variable, patience_s)
        launch.close()


def host() -> Host:
    """This machine as a plan sees it, with the ranks that a launcher started."""
    launch = from_environment()
    return Host(ranks=launch.size if launch else None)


def shared_gpus(seen: list[str | None]) -> str | None:
    """The GPUs of all ranks in rank order, where the launcher showed each rank only its own.

    `seen` is each rank's CUDA_VISIBLE_DEVICES. With the result in its place rank i finds its GPU as cuda:i,
    as without a launcher. None: all see the same GPUs already. Raises UsageError (`rank-devices`) otherwise.
    """
    if len(set(seen)) == 1:
        return None
    single = [gpu for gpu in seen if gpu and "," not in gpu]
    if len(single) == len(seen) == len(set(single)):
        return ",".join(single)
    shown = ", ".join("unset" if gpu is None else f"'{gpu}'" for gpu in seen)
    raise UsageError(
        "rank-devices",
        f"The ranks of this launch see different GPUs (CUDA_VISIBLE_DEVICES: {shown}).",
        "Show every rank the same GPUs, or each rank one of its own.",
    )


def _has_company(place: Place) -> bool:
    """Whether another rank is there. A launcher starts them within moments of each other."""
    deadline = monotonic() + _ALONE_S
    while not any(rank != place.rank for rank in launch_kin.ranks(place.variable)):
        if monotonic() > deadline:
            return False
        sleep(0.05)
    return True
