"""The comparison of two evaluated models: parameters, metrics, classes, and the significance of the difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiny_imagenet.cli.evaluated_models import EvaluatedModel
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.run_record import TrainingRecord, flatten
from tiny_imagenet.dataset.classes import Class, short_names
from tiny_imagenet.evaluation.metrics import ECE
from tiny_imagenet.report.differences import paired_difference
from tiny_imagenet.report.results import SCORES, Result
from tiny_imagenet.report.significance import MAX_P_VALUE
from tiny_imagenet.scoring.metrics import TOP_1, TOP_5

COST = ("num_parameters", "train_flops", "train_seconds")
NO_PARAMETERS = {"model", "macs_per_image", "model_sha256", *COST}  # keys of a training's record


@dataclass(frozen=True)
class ClassChange:
    """The images of a class that each model classifies correctly.

    Attributes:
        wnid: Of the class.
        name: Of the class.
        num_images: Of the class.
        first: Correct by the first model.
        second: Correct by the second model.
        p_value: Of McNemar's exact test on these images.
    """

    wnid: str
    name: str
    num_images: int
    first: int
    second: int
    p_value: float

    @property
    def gain(self) -> int:
        """Images correct by the second model less those by the first."""
        return self.second - self.first


@dataclass(frozen=True)
class Comparison:
    """Two models evaluated on the same images.

    Attributes:
        first: The name that the first was requested by.
        second: The name that the second was requested by.
        split: The split that both were evaluated on.
        num_images: Of the split.
        parameters: The parameters that differ, with both values; None for a model that lacks the parameter.
        metrics: Both values: accuracies as fractions, cost in FLOPs and seconds; an unknown time is left out.
        standard_errors: Of the difference of each accuracy, paired: over the same images.
        debug_runs: The limits of those that are debug runs, by name: their results are not those of their recipes.
        only_first: Images that only the first model classifies correctly.
        only_second: Images that only the second model classifies correctly.
        p_value: Two-sided p-value of McNemar's exact test.
        classes: The classes by gain, the largest first.
    """

    first: str
    second: str
    split: str
    num_images: int
    parameters: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[float, float]]
    standard_errors: dict[str, float]
    debug_runs: dict[str, str]
    only_first: int
    only_second: int
    p_value: float
    classes: list[ClassChange]

    @property
    def is_significant(self) -> bool:
        """Whether the difference of the top-1 accuracies is significant; never beside a debug run."""
        return self.p_value < MAX_P_VALUE and not self.debug_runs

    def is_clear(self, change: ClassChange) -> bool:
        """Returns whether the change of a class is significant among all classes (Bonferroni)."""
        return change.p_value < MAX_P_VALUE / len(self.classes) and not self.debug_runs


def compare(first: EvaluatedModel, second: EvaluatedModel) -> Comparison:
    """Compares two models on the images that both were evaluated on.

    Raises:
        InputError: They were evaluated on different splits or images.
    """
    a, b = first.result, second.result
    split = a.evaluation.split
    if split != b.evaluation.split:
        what = f"evaluated on {split} and on {b.evaluation.split}"
        raise InputError(f"{a.model} and {b.model}", what, "compare models evaluated on the same split")
    if not first.has_images_of(second):
        what = f"evaluated on different images of {split} ({a.training.dataset}, {b.training.dataset})"
        raise InputError(f"{a.model} and {b.model}", what, "compare models evaluated on the same records")
    one, two = first.predictions, second.predictions
    only_first, only_second, p_value = mcnemar(one.is_correct, two.is_correct)
    return Comparison(
        first=a.model,
        second=b.model,
        split=split,
        num_images=len(one.label),
        parameters=_differing(_parameters(a.training), _parameters(b.training)),
        metrics=_metrics(a, b),
        standard_errors={
            TOP_1.key: paired_difference(two.is_correct, one.is_correct)[1],
            TOP_5.key: paired_difference(two.is_in_top_5, one.is_in_top_5)[1],
        },
        debug_runs={each.model: str(each.training.debug) for each in (a, b) if each.training.debug},
        only_first=only_first,
        only_second=only_second,
        p_value=p_value,
        classes=_class_changes(first, second),
    )


def mcnemar(first: np.ndarray, second: np.ndarray) -> tuple[int, int, float]:
    """McNemar's exact test, two-sided.

    Source: McNemar, 1947, "Note on the sampling error of the difference between correlated proportions or percentages".

    Args:
        first: Whether a model is correct about each image, bool (images,).
        second: The same of another model, about the same images.

    Returns:
        The images that only the first, and that only the second, is correct about; the p-value.
    """
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    return only_first, only_second, float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def _metrics(a: Result, b: Result) -> dict[str, tuple[float, float]]:
    pairs: dict[str, tuple[float | None, float | None]]
    pairs = {metric.key: (a.value(metric), b.value(metric)) for metric in (*SCORES, ECE)}
    pairs |= {key: (getattr(a.training, key), getattr(b.training, key)) for key in COST}
    pairs["train_seconds"] = (a.train_seconds, b.train_seconds)
    return {key: (x, y) for key, (x, y) in pairs.items() if x is not None and y is not None}


def _parameters(training: TrainingRecord) -> dict[str, Any]:
    return flatten(training.model_dump(exclude=NO_PARAMETERS))


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {key: (first.get(key), second.get(key)) for key in {**first, **second}}
    if "" in pairs["data_sha256"]:  # records of earlier versions lack it
        del pairs["data_sha256"]
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b}


def _class_changes(first: EvaluatedModel, second: EvaluatedModel) -> list[ClassChange]:
    classes = [Class(row.wnid, row.words) for row in first.result.per_class]
    one, two = first.predictions.is_correct, second.predictions.is_correct
    changes = []
    for label, (each, name) in enumerate(zip(classes, short_names(classes), strict=True)):
        own = first.predictions.label == label
        correct = int(one[own].sum()), int(two[own].sum())
        changes.append(ClassChange(each.wnid, name, int(own.sum()), *correct, mcnemar(one[own], two[own])[2]))
    return sorted(changes, key=lambda change: -change.gain)
