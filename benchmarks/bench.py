"""The tools of a row: its subjects, data and rounds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rounds import Series, take_turns
from benchmarks.scratch import Scratch
from benchmarks.subjects import PEERS_PYTHON, Subject


@dataclass(frozen=True)
class Bench:
    """The data, the number of rounds (None: the default of each row), and a function that logs progress."""

    scratch: Scratch
    rounds: int | None
    log: Callable[[str], object]

    def subject(self, name: str, module: str, *arguments: object, theirs: bool = False, **options: Any) -> Subject:
        """Returns a subject of this package; with `theirs` it runs in the peers' environment."""
        python = PEERS_PYTHON if theirs else sys.executable
        module = f"benchmarks.{module}"
        return Subject(name, module, *arguments, python=python, logs=self.scratch.logs, **options)

    def take_turns(self, row: str, subjects: Sequence[Subject], rounds: int, first: int = 0) -> dict[str, Series]:
        """Measures subjects in turn, by default for `rounds` rounds, after `first` rounds that do not count."""
        series = take_turns(subjects, first + (self.rounds or rounds), lambda message: self.log(f"{row}: {message}"))
        for one in series.values():
            del one.rounds[:first]
        return series
