"""What differs between two scored models, and whether by more than noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiny_imagenet.cli.evaluated_models import Scored
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.run_record import flatten
from tiny_imagenet.dataset.classes import Class, short_names
from tiny_imagenet.report.differences import paired_difference
from tiny_imagenet.report.mistakes import correct

SIGNIFICANT = 0.05  # a p-value below it is more than noise
SCORES = ("top_1_accuracy", "top_5_accuracy", "loss", "objective", "ece")
COST = ("num_parameters", "train_flops", "train_seconds")
MEASURED = ("model", "macs_per_image", "images_per_second", *COST)  # of training.json: no parameters


@dataclass(frozen=True)
class ClassChange:
    """How many of a class's images either model is right about; p-value of McNemar's exact test on these."""

    wnid: str
    name: str
    num_images: int
    first: int
    second: int
    p_value: float

    @property
    def gain(self) -> int:
        """How many more the second is right about."""
        return self.second - self.first


@dataclass(frozen=True)
class Comparison:
    """The first model and the second.

    Attributes:
        first: What the first was asked for by.
        second: What the second was asked for by.
        split: The split that both were scored on.
        num_images: How many images.
        parameters: Those that differ, with both values; None where one has none of that name.
        metrics: Both values: accuracies as fractions, cost in FLOPs and seconds.
        standard_errors: Of the difference of each accuracy, paired: over the same images.
        only_first: Images that only the first is right about.
        only_second: Images that only the second is right about.
        p_value: By McNemar's exact test: how often chance alone would part these images so unequally.
        classes: Each class, what gained most first.
    """

    first: str
    second: str
    split: str
    num_images: int
    parameters: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[float, float]]
    standard_errors: dict[str, float]
    only_first: int
    only_second: int
    p_value: float
    classes: list[ClassChange]

    @property
    def is_significant(self) -> bool:
        """Whether the top-1 accuracies differ by more than noise."""
        return self.p_value < SIGNIFICANT

    def is_clear(self, change: ClassChange) -> bool:
        """Returns whether a class changed by more than noise, as one of so many looked at (Bonferroni)."""
        return change.p_value < SIGNIFICANT / len(self.classes)


def compare(first: Scored, second: Scored) -> Comparison:
    """Compares two models on the images that both were scored on.

    Raises:
        InputError: They were scored on different splits or images.
    """
    a, b = first.result, second.result
    if a.split != b.split:
        what = f"scored on {a.split} and on {b.split}"
        raise InputError(f"{a.model} and {b.model}", what, "compare models scored on the same split")
    if not first.has_images_of(second):
        what = f"scored on different images of {a.split} ({a.training['dataset']}, {b.training['dataset']})"
        raise InputError(f"{a.model} and {b.model}", what, "compare models scored on the same records")
    hits = [(correct(each.predictions), _among_five(each.predictions)) for each in (first, second)]
    only_first, only_second, p_value = mcnemar(hits[0][0], hits[1][0])
    return Comparison(
        first=a.model,
        second=b.model,
        split=a.split,
        num_images=len(hits[0][0]),
        parameters=_differing(_parameters(a.training), _parameters(b.training)),
        metrics={key: (a.evaluation[key], b.evaluation[key]) for key in SCORES}
        | {key: (a.training[key], b.training[key]) for key in COST},
        standard_errors={key: paired_difference(hits[1][k], hits[0][k])[1] for k, key in enumerate(SCORES[:2])},
        only_first=only_first,
        only_second=only_second,
        p_value=p_value,
        classes=_class_changes(first, hits[0][0], hits[1][0]),
    )


def mcnemar(first: np.ndarray, second: np.ndarray) -> tuple[int, int, float]:
    """McNemar's exact test, two-sided: were it chance, either would be right alone about half of the images in dispute.

    Source: McNemar, 1947, "Note on the sampling error of the difference between correlated proportions or percentages".

    Args:
        first: Whether one model is right about each image, bool (N,).
        second: The same of another, about the same images.

    Returns:
        How many images only the first, and only the second, is right about; the p-value, by whole numbers.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    disputed = only_first + only_second
    ways, tail = 1, 0  # to choose k of the disputed images; that sum over all k as small as seen
    for k in range(min(only_first, only_second) + 1):
        tail += ways
        ways = ways * (disputed - k) // (k + 1)
    return only_first, only_second, min(1.0, 2 * tail / 2**disputed)


def _among_five(predictions: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.asarray((predictions["top_5"] == predictions["label"][:, None]).any(axis=1))


def _parameters(training: Mapping[str, Any]) -> dict[str, Any]:
    return flatten({key: value for key, value in training.items() if key not in MEASURED})


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {key: (first.get(key), second.get(key)) for key in {**first, **second}}
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b}


def _class_changes(scored: Scored, first: np.ndarray, second: np.ndarray) -> list[ClassChange]:
    classes = [Class(row["wnid"], row["words"]) for row in scored.result.per_class]
    changes = []
    for label, (each, name) in enumerate(zip(classes, short_names(classes), strict=True)):
        mine = scored.predictions["label"] == label
        right = int(first[mine].sum()), int(second[mine].sum())
        changes.append(ClassChange(each.wnid, name, int(mine.sum()), *right, mcnemar(first[mine], second[mine])[2]))
    return sorted(changes, key=lambda change: -change.gain)
