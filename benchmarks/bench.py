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
    """The data, how many rounds (None: each row's own number), and who is told what happens."""

    scratch: Scratch
    rounds: int | None
    tell: Callable[[str], object]

    def subject(self, name: str, module: str, *arguments: object, theirs: bool = False, **options: Any) -> Subject:
        """Makes a subject of this package; `theirs` runs in the peers' environment."""
        python = PEERS_PYTHON if theirs else sys.executable
        module = f"benchmarks.{module}"
        return Subject(name, module, *arguments, python=python, logs=self.scratch.logs, **options)

    def take_turns(self, row: str, subjects: Sequence[Subject], rounds: int, first: int = 0) -> dict[str, Series]:
        """Measures subjects in turn; `rounds` unless the user said how many, after `first` that do not count."""
        series = take_turns(subjects, first + (self.rounds or rounds), lambda what: self.tell(f"{row}: {what}"))
        for one in series.values():
            del one.rounds[:first]
        return series
