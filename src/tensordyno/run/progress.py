"""What a session tells whoever watches it: the live display, plain lines, or nobody."""

from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan, Trial


class Progress:
    """Watches nothing; the command line's displays override what they show."""

    def planned(self, plan: Plan, already_done: int) -> None:
        """The run begins; `already_done` trials were finished by an earlier session."""

    def phase(self, trial: Trial, doing: str) -> None:
        """A trial enters a phase: preparing, building, waiting, measuring."""

    def step(self, trial: Trial, doing: str, done: int, total: int) -> None:
        """A long phase has come so far: 'calibrating', 375 of 1250 images."""

    def burst(self, trial: Trial, images_per_s: float, half_width: float | None, spent: float) -> None:
        """A burst was kept. `spent` is the share of the time limit used so far, 0..1."""

    def contended(self, trial: Trial) -> None:
        """A burst was lost to other users of the machine and will be repeated."""

    def ended(self, outcome: Outcome) -> None:
        """A trial ended."""

    def note(self, text: str) -> None:
        """Something a reader should know about the run as a whole."""
