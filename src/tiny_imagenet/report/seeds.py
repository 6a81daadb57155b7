"""Models that differ by their seed alone: mean and spread of their accuracies."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tiny_imagenet.report.results import ACCURACIES, Result, comparable
from tiny_imagenet.report.significance import lower_bound
from tiny_imagenet.scoring.metrics import Metric

# Keys of a training's record that may differ within a group. All models of a report have the same data, whose digest
# records of earlier versions lack.
OWN = ("model", "seed", "device", "versions", "train_seconds", "data_sha256", "model_sha256")


@dataclass(frozen=True)
class Spread:
    """An accuracy over seeds, all values as fractions.

    Attributes:
        mean: Of the seeds.
        standard_deviation: Of the sample.
        standard_error: Of the mean.
    """

    mean: float
    standard_deviation: float
    standard_error: float

    @property
    def low(self) -> float:
        """The mean less two standard errors."""
        return lower_bound(self.mean, self.standard_error)

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Returns the spread of at least two values."""
        deviation = statistics.stdev(values)
        return cls(statistics.fmean(values), deviation, deviation / math.sqrt(len(values)))


@dataclass(frozen=True)
class Group:
    """Results of one architecture and recipe, each with another seed."""

    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        """The name of the first model."""
        return self.results[0].model

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the results."""
        return [result.training.seed for result in self.results]

    def spread(self, accuracy: Metric) -> Spread:
        """Returns the spread of an accuracy; needs at least two results."""
        return Spread.of([result.value(accuracy) for result in self.results])

    def as_row(self) -> dict[str, Any]:
        """Returns the group for JSON."""
        spreads = {accuracy.key: self.spread(accuracy) for accuracy in ACCURACIES}
        return {
            "models": [result.model for result in self.results],
            "seeds": self.seeds,
            **{
                key: {
                    "mean": spread.mean,
                    "standard_deviation": spread.standard_deviation,
                    "standard_error": spread.standard_error,
                    "mean_less_2_standard_errors": spread.low,
                }
                for key, spread in spreads.items()
            },
        }


def group_by_seed(results: Iterable[Result]) -> list[Group]:
    """Returns all results in groups, in the order of their first models; most groups have one result.

    Of two results with the same seed only the first counts: they are one training.
    """
    groups: dict[str, dict[int, Result]] = {}
    for result in results:
        key = result.training.digest(*OWN)
        groups.setdefault(key, {}).setdefault(result.training.seed, result)
    return [Group(tuple(group.values())) for group in groups.values()]


def repeated(results: Sequence[Result]) -> list[Group]:
    """Returns the groups of at least two seeds, without debug runs."""
    return [group for group in group_by_seed(comparable(results)) if len(group.results) > 1]
