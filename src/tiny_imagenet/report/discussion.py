"""Sentences on the results, made from the numbers; each comparison states its standard error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.dataset.classes import first_name
from tiny_imagenet.report.convergence import Convergence, assess
from tiny_imagenet.report.differences import Difference, rank
from tiny_imagenet.report.formats import format_flops, percent, points, signed
from tiny_imagenet.report.mistakes import Pair
from tiny_imagenet.report.pareto import cheapest_above, pareto_front
from tiny_imagenet.report.predictions import Predictions
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.seeds import Group, group_by_seed, repeated
from tiny_imagenet.report.significance import NUM_STANDARD_ERRORS, is_clear
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
    """Returns the discussion of the results, without remarks that have no sentence.

    Args:
        results: Of all models.
        best: The result whose classes and mistakes are discussed.
        predictions: By model.
        names: Of the classes.
        pairs: The classes that `best` confuses most.
    """
    firsts = [group.results[0] for group in group_by_seed(results)]
    remarks = [
        _ranking(rank(firsts, predictions)),
        Remark("Seeds", [_seeds(group) for group in repeated(results)]),
        Remark("Beside the published table", _published(results)),
        Remark("What it costs", _cost([result for result in firsts if not result.training.pretrained])),
        Remark("Learning", [_learning(result, assess(result.history)) for result in firsts]),
        Remark("Confidence", _confidence(results)),
        Remark("Classes and mistakes", _classes(best, predictions[best.model], names, pairs)),
    ]
    return [remark for remark in remarks if remark.sentences]


def _ranking(steps: Sequence[Difference]) -> Remark:
    """Returns the difference between each model and the next in rank, and those that are not significant."""
    if not steps:
        return Remark("Which is better", [])
    rows, unclear = [], [step for step in steps if not step.is_clear]
    for step in steps:
        ratio = abs(step.value) / step.standard_error if step.standard_error else math.inf
        difference = Number(points(step.value, step.standard_error), step.value)
        rows.append([step.first, step.second, difference, Number(f"{ratio:.1f}", ratio)])
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
        value, error = result.value(TOP_1) - published, result.standard_error(TOP_1)
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
    return f"{result.model} ({format_flops(result.training.train_flops)}, {percent(result.value(TOP_1))})"


def _learning(result: Result, found: Convergence) -> str:
    name, last = result.model, found.epochs
    if found.verdict == "too few epochs":
        return f"{name}: {last} epoch{'s' * (last > 1)}, too few to judge."
    change = f"{signed(found.change, '.3f')} ± {found.change_error:.3f}"
    window = f"over the last {found.window} of {last} epochs"
    described = {
        "still learning": f"was still learning: its val loss fell {window} ({change})",
        "finished": f"shows no clear fall of its val loss any more {window} ({change})",
        "overfitting": f"overfits: its val loss was lowest at epoch {found.best.epoch} ({found.best.val_loss:.3f}) "
        f"and ended at {found.last.val_loss:.3f}, while its train loss fell from {found.best.loss:.3f} to "
        f"{found.last.loss:.3f}",
    }[found.verdict]
    if _changes_labels(result.training):
        return f"{name} {described}. Its train accuracy is that of smoothed or mixed labels: not compared."
    if found.gap > NUM_STANDARD_ERRORS * result.standard_error(TOP_1):
        return (
            f"{name} {described}. It knows train images better than new ones, by {100 * found.gap:.2f} points of top-1."
        )
    return (
        f"{name} {described}. "
        "It does no better on train images, as training sees them, than on new ones: no overfitting."
    )


def _changes_labels(settings: ModelSettings) -> bool:
    """Returns whether train loss and accuracy are those of smoothed or mixed labels."""
    return bool(settings.label_smoothing or settings.augmentation.mixup or settings.augmentation.cutmix)


def _confidence(results: Sequence[Result]) -> list[str]:
    texts = [f"{result.model} {points(overconfidence(result))}" for result in results]
    return [
        "The mean probability of the first guess less its accuracy, in points (above zero: too sure of itself): "
        + ", ".join(texts)
        + "."
    ]


def overconfidence(result: Result) -> float:
    """Returns the mean confidence less the accuracy, from the bins of the calibration."""
    total, weighted = 0, 0.0
    for row in result.calibration:
        if row.confidence is not None and row.accuracy is not None:
            total += row.num_images
            weighted += row.num_images * (row.confidence - row.accuracy)
    return weighted / total


def _classes(best: Result, predictions: Predictions, names: Sequence[str], pairs: Sequence[Pair]) -> list[str]:
    accuracies = [(row.top_1_accuracy, row.words) for row in best.per_class if row.top_1_accuracy is not None]
    low, high = (choose(accuracies, key=lambda pair: pair[0]) for choose in (min, max))
    wrong = int((~predictions.is_correct).sum())
    in_top_5 = int((predictions.is_in_top_5 & ~predictions.is_correct).sum())
    sentences = [
        f"{best.model}’s top-1 accuracy goes from {percent(low[0])} ({first_name(low[1])}) to "
        f"{percent(high[0])} ({first_name(high[1])}), class by class."
    ]
    if wrong:
        fraction = percent(in_top_5 / wrong)
        sentences.append(f"Of its {wrong:,} mistakes, {fraction} have the right class among the five likeliest.")
    if pairs:
        pair, total = pairs[0], sum(each.count for each in pairs)
        sentences.append(
            f"It confuses {names[pair.first]} and {names[pair.second]} most, in {pair.count} of their "
            f"{pair.num_images:,} images; the {len(pairs)} pairs below hold {percent(total / wrong)} of all mistakes."
        )
    return sentences
