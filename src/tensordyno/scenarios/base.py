"""The contract of a scenario: what a worker does, burst by burst, with a network that is built."""

from abc import ABC, abstractmethod

from tensordyno.catalogue import Catalogue
from tensordyno.records.messages import BurstOrder, BurstReport

SCENARIOS = Catalogue("scenarios", "scenario", besides=frozenset({"classify"}))


class Scenario(ABC):
    """Measures one built trial. Each member module defines `MEMBER = <the class>`."""

    @abstractmethod
    def burst(self, order: BurstOrder) -> BurstReport:
        """Measure one burst; the first call warms up before it."""

    @abstractmethod
    def close(self) -> None:
        """Release buffers and threads."""
