"""Models that differ by their seed alone, and what their accuracies say together."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tiny_imagenet.report.results import Result

ACCURACIES = ("top_1_accuracy", "top_5_accuracy")
# Of training.json: what may differ between two trainings of one recipe.
OWN = ("model", "seed", "device", "versions", "train_seconds", "images_per_second")


@dataclass(frozen=True)
class Spread:
    """An accuracy over n seeds, all as fractions: mean, sample standard deviation, standard error of the mean."""

    mean: float
    standard_deviation: float
    standard_error: float

    @property
    def low(self) -> float:
        """The mean less two standard errors."""
        return self.mean - 2.0 * self.standard_error

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Returns the spread of at least two values."""
        deviation = statistics.stdev(values)
        return cls(statistics.fmean(values), deviation, deviation / math.sqrt(len(values)))


@dataclass(frozen=True)
class Group:
    """Results of one architecture and recipe, each with its own seed; named after the first."""

    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        """The name of its first model."""
        return self.results[0].model

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the results."""
        return [result.training["seed"] for result in self.results]

    def spread(self, metric: str) -> Spread:
        """Returns the spread of "top_1_accuracy" or "top_5_accuracy"; of two results or more."""
        return Spread.of([result.evaluation[metric] for result in self.results])

    def as_row(self) -> dict[str, Any]:
        """Returns the group for JSON."""
        spreads = {metric: self.spread(metric) for metric in ACCURACIES}
        return {
            "models": [result.model for result in self.results],
            "seeds": self.seeds,
            **{
                metric: {
                    "mean": spread.mean,
                    "standard_deviation": spread.standard_deviation,
                    "standard_error": spread.standard_error,
                    "mean_less_2_standard_errors": spread.low,
                }
                for metric, spread in spreads.items()
            },
        }


def group_by_seed(results: Iterable[Result]) -> list[Group]:
    """Returns the groups of all results, in their order; a result that has no other seed beside it is one alone.

    Of two results with the same seed only the first counts: they are one training.
    """
    groups: dict[str, dict[int, Result]] = {}
    for result in results:
        key = json.dumps({k: v for k, v in result.training.items() if k not in OWN}, sort_keys=True)
        groups.setdefault(key, {}).setdefault(result.training["seed"], result)
    return [Group(tuple(group.values())) for group in groups.values()]


def repeated(results: Iterable[Result]) -> list[Group]:
    """Returns the groups of at least two seeds."""
    return [group for group in group_by_seed(results) if len(group.results) > 1]
