"""Sentences on the results, made from the numbers; each comparison states its standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tiny_imagenet.report.differences import Difference, rank
from tiny_imagenet.report.formats import NONE, format_flops, percent, points
from tiny_imagenet.report.mistakes import Pair
from tiny_imagenet.report.model_remarks import describe_classes, describe_confidence, describe_learning
from tiny_imagenet.report.pareto import cheapest_above, pareto_front
from tiny_imagenet.report.predictions import Predictions
from tiny_imagenet.report.results import Result, comparable
from tiny_imagenet.report.seeds import Group, group_by_seed, repeated
from tiny_imagenet.report.significance import is_clear
from tiny_imagenet.report.tables import Number, Table
from tiny_imagenet.scoring.metrics import TOP_1


class Remark(NamedTuple):
    """A heading, sentences below it, and a table below these."""

    heading: str
    sentences: list[str]
    table: Table | None = None


def discuss(
    results: Sequence[Result],
    best: Result,
    predictions: Mapping[str, Predictions],
    names: Sequence[str],
    pairs: Sequence[Pair],
) -> list[Remark]:
    """Returns the discussion of the results, without remarks that have no sentence; a debug run is not compared.

    Args:
        results: Of all models.
        best: The result whose classes and mistakes are discussed.
        predictions: By model.
        names: Of the classes.
        pairs: The classes that `best` confuses most.
    """
    compared = comparable(results)
    firsts = [group.results[0] for group in group_by_seed(compared)]
    remarks = [
        _ranking(rank(firsts, predictions)),
        Remark("Seeds", [_seeds(group) for group in repeated(results)]),
        Remark("Beside the published table", _published(compared)),
        Remark("What it costs", _cost([result for result in firsts if not result.training.pretrained])),
        Remark("Learning", describe_learning(firsts)),
        Remark("Confidence", [describe_confidence(compared)] if compared else []),
        Remark("Classes and mistakes", describe_classes(best, predictions[best.model], names, pairs)),
    ]
    return [remark for remark in remarks if remark.sentences]


def _ranking(steps: Sequence[Difference]) -> Remark:
    """Returns the difference between each model and the next in rank, and those that are not significant."""
    if not steps:
        return Remark("Which is better", [])
    rows, unclear = [], [step for step in steps if not step.is_clear]
    for step in steps:
        ratio: str = NONE  # two models that are right about the same images
        if step.standard_error:
            ratio = Number(f"{abs(step.value) / step.standard_error:.1f}", abs(step.value) / step.standard_error)
        difference = Number(points(step.value, step.standard_error), step.value)
        rows.append([step.first, step.second, difference, ratio])
    sentences = [
        f"{step.first} and {step.second} are less than two standard errors apart: "
        "these images do not tell which is better."
        for step in unclear
    ]
    if not unclear:
        sentences.append("Each model is above the next by more than two standard errors.")
    if not all(step.paired for step in steps):
        sentences.append("Not all were scored on the same images; there the errors are those of two samples.")
    headers = ["model", "next", "difference in top-1, points", "in standard errors"]
    return Remark("Which is better", sentences, Table(headers, rows, []))


def _seeds(group: Group) -> str:
    spread, count = group.spread(TOP_1), len(group.seeds)
    sampling_error = group.results[0].standard_error(TOP_1)
    return (
        f"{group.name}, {count} seeds: {percent(spread.mean)} top-1 on average; another seed moves it by "
        f"{100.0 * spread.standard_deviation:.2f} points (sample standard deviation), another draw of images would by "
        f"{100.0 * sampling_error:.2f}."
    )


def _published(results: Sequence[Result]) -> list[str]:
    sentences = []
    for result in results:
        if (published := result.published_value(TOP_1)) is None:
            continue
        if result.is_short:
            sentences.append(f"{result.model} has not had all its epochs: nothing to compare yet.")
            continue
        value, error = result.top_1_accuracy - published, result.standard_error(TOP_1)
        sentences.append(
            f"{result.model}: {points(value, error)} points of top-1 beside the published value, "
            f"{'more' if is_clear(value, error) else 'less'} than two standard errors."
        )
    return sentences


def _cost(results: Sequence[Result]) -> list[str]:
    sentences = []
    if len(results) > 1:
        described = "; ".join(map(_described, pareto_front(results)))
        sentences.append(f"No other model is both cheaper and more accurate than these: {described}.")
    published = [result for result in results if result.published]
    if not published:
        return sentences
    record = max(published, key=_published_accuracy)
    goal, estimate = _published_accuracy(record), record.published_flops or 0.0
    about = f"the best published top-1 ({record.model}, {percent(goal)})"
    if (cheapest := cheapest_above(results, goal)) is None:
        return [*sentences, f"None is above {about} by more than two standard errors."]
    flops = cheapest.training.train_flops
    return [
        *sentences,
        f"The cheapest one that is above {about} by more than two standard errors is {cheapest.model}: "
        f"{format_flops(flops)} beside a reckoned {format_flops(estimate)}, {estimate / flops:.3g} times its own.",
    ]


def _published_accuracy(result: Result) -> float:
    return result.published_value(TOP_1) or 0.0


def _described(result: Result) -> str:
    return f"{result.model} ({format_flops(result.training.train_flops)}, {percent(result.top_1_accuracy)})"
