"""Rounds: in each, all subjects of a row are measured in turn, so that drift of the machine affects all."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.serving import Figures
from benchmarks.subjects import NotMeasured, Subject


@dataclass
class Series:
    """The figures of one subject for each round, or the reason why there are none."""

    name: str
    about: Figures = field(default_factory=dict)
    rounds: list[Figures] = field(default_factory=list)
    missing: str | None = None

    def __getitem__(self, key: str) -> list[float]:
        """Returns one figure for each round."""
        return [figures[key] for figures in self.rounds]


def take_turns(subjects: Sequence[Subject], rounds: int, log: Callable[[str], object]) -> dict[str, Series]:
    """Measures each subject once per round; one that fails is left out of later rounds, and keeps its error.

    Args:
        subjects: The subjects, in the order of each round.
        rounds: The number of rounds.
        log: Called with a line on each measurement.
    """
    series = {subject.name: Series(subject.name) for subject in subjects}
    with ExitStack() as stack:
        for subject in subjects:
            stack.enter_context(subject)
        for number in range(1, rounds + 1):
            for subject in subjects:
                own = series[subject.name]
                if own.missing:
                    continue
                log(f"round {number}/{rounds}: {subject.name}")
                try:
                    own.rounds.append(subject.measure())
                    own.about = subject.about
                except NotMeasured as error:
                    own.missing, own.rounds = str(error), []
    return series


def paired_ratio(ours: Sequence[float], peer: Sequence[float], better: str) -> float:
    """Returns the median over the rounds of how many times better ours was than the peer in the same round.

    Args:
        ours: One value per round.
        peer: One value per round, as many.
        better: "higher" or "lower".
    """
    pairs = zip(ours, peer, strict=True)
    return statistics.median(a / b if better == "higher" else b / a for a, b in pairs)
