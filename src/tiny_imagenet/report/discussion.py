"""What the results say, in sentences made from them: each claim stands on a number, and none without its error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tiny_imagenet.report.differences import Difference, ladder
from tiny_imagenet.report.frontier import cheapest_above, frontier, published_accuracy
from tiny_imagenet.report.learning import Learning, judge
from tiny_imagenet.report.mistakes import Pair, Predictions, correct
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.seeds import Group, group_by_seed, repeated
from tiny_imagenet.report.tables import Number, Table, compute, is_short

CLEAR = 2.0  # standard errors
MIXING = ("label_smoothing", "mixup", "cutmix")  # make the train loss and accuracy those of other questions


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
    """Returns the discussion of the results, remarks without a sentence left out.

    Args:
        results: All models'.
        best: The one whose classes and mistakes are looked at.
        predictions: By model.
        names: Of the classes.
        pairs: The classes that `best` confuses most.
    """
    firsts = [group.results[0] for group in group_by_seed(results)]
    remarks = [
        _ranking(ladder(firsts, predictions)),
        Remark("Seeds", [_seeds(group) for group in repeated(results)]),
        Remark("Beside the published table", _published(results)),
        Remark("What it costs", _cost([result for result in firsts if not result.pretrained])),
        Remark("Learning", [_learning(result, judge(result.history)) for result in firsts]),
        Remark("Confidence", _confidence(results)),
        Remark("Classes and mistakes", _classes(best, predictions[best.model], names, pairs)),
    ]
    return [remark for remark in remarks if remark.sentences]


def points(value: float, error: float | None = None) -> str:
    """Returns a fraction in points of a percent, with a sign, and its standard error."""
    text = f"{100.0 * value:+.2f}".replace("-", "−")
    return text if error is None else f"{text} ± {100.0 * error:.2f}"


def percent(fraction: float) -> str:
    """Returns a fraction as percent."""
    return f"{100.0 * fraction:.1f} %"


def _ranking(steps: Sequence[Difference]) -> Remark:
    """Returns each model beside the next in rank, and which of these steps the images do not tell from chance."""
    if not steps:
        return Remark("Which is better", [])
    rows, unclear = [], [step for step in steps if not step.is_clear]
    for step in steps:
        times = abs(step.value) / step.standard_error if step.standard_error else math.inf
        difference = Number(points(step.value, step.standard_error), step.value)
        rows.append([step.first, step.second, difference, Number(f"{times:.1f}", times)])
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
    spread, count = group.spread("top_1_accuracy"), len(group.seeds)
    chance = group.results[0].standard_error("top_1_accuracy")
    return (
        f"{group.name}, {count} seeds: {percent(spread.mean)} top-1 on average; another seed moves it by "
        f"{100.0 * spread.standard_deviation:.2f} points (sample standard deviation), another draw of images would by "
        f"{100.0 * chance:.2f}."
    )


def _published(results: Sequence[Result]) -> list[str]:
    sentences = []
    for result in results:
        if not result.published:
            continue
        if is_short(result):
            sentences.append(f"{result.model} has not had all its epochs: nothing to compare yet.")
            continue
        value = result.evaluation["top_1_accuracy"] - result.published["top_1_accuracy"]
        error = result.standard_error("top_1_accuracy")
        verdict = "less" if abs(value) <= CLEAR * error else "more"
        sentences.append(
            f"{result.model}: {points(value, error)} points of top-1 beside the published value, "
            f"{verdict} than two standard errors."
        )
    return sentences


def _cost(results: Sequence[Result]) -> list[str]:
    sentences = []
    if len(results) > 1:
        described = "; ".join(map(_described, frontier(results)))
        sentences.append(f"No other model is both cheaper and more accurate than these: {described}.")
    published = [result for result in results if result.published]
    if not published:
        return sentences
    record = max(published, key=published_accuracy)
    goal, reckoned = published_accuracy(record), record.published_flops or 0.0
    about = f"the best published top-1 ({record.model}, {percent(goal)})"
    if (cheapest := cheapest_above(results, goal)) is None:
        return [*sentences, f"None is above {about} by more than two standard errors."]
    flops = cheapest.training["train_flops"]
    return [
        *sentences,
        f"The cheapest one that is above {about} by more than two standard errors is {cheapest.model}: "
        f"{compute(flops)} beside a reckoned {compute(reckoned)}, {reckoned / flops:.3g} times its own.",
    ]


def _described(result: Result) -> str:
    flops, accuracy = result.training["train_flops"], result.evaluation["top_1_accuracy"]
    return f"{result.model} ({compute(flops)}, {percent(accuracy)})"


def _learning(result: Result, learning: Learning) -> str:
    name, last = result.model, learning.epochs
    change = f"{learning.change:+.3f} ± {learning.change_error:.3f}".replace("-", "−")
    if learning.verdict == "too few epochs":
        return f"{name}: {last} epoch{'s' * (last > 1)}, too few to judge."
    window = f"over the last {learning.window} of {last} epochs"
    said = {
        "still learning": f"was still learning: its val loss fell {window} ({change})",
        "finished": f"shows no clear fall of its val loss any more {window} ({change})",
        "overfitting": f"overfits: its val loss was lowest at epoch {learning.lowest_epoch} ({learning.lowest:.3f}) "
        f"and ended at {learning.last:.3f}, while its train loss fell from {learning.train_at_lowest:.3f} to "
        f"{learning.train_last:.3f}",
    }[learning.verdict]
    recipe = {**result.training, **result.training.get("augmentation", {})}
    if any(recipe.get(key) for key in MIXING):
        return f"{name} {said}. Its train accuracy is that of smoothed or mixed labels: not compared."
    if learning.gap > CLEAR * result.standard_error("top_1_accuracy"):
        return (
            f"{name} {said}. It knows train images better than new ones, by {100 * learning.gap:.2f} points of top-1."
        )
    return f"{name} {said}. It does no better on train images, as training sees them, than on new ones: no overfitting."


def _confidence(results: Sequence[Result]) -> list[str]:
    texts = [f"{result.model} {points(overconfidence(result))}" for result in results]
    return [
        "The mean probability of the first guess less its accuracy, in points (above zero: too sure of itself): "
        + ", ".join(texts)
        + "."
    ]


def overconfidence(result: Result) -> float:
    """Returns the mean confidence less the accuracy, from the bins of the calibration."""
    filled = [row for row in result.calibration if row["num_images"]]
    total = sum(row["num_images"] for row in filled)
    return float(sum(row["num_images"] * (row["confidence"] - row["accuracy"]) for row in filled) / total)


def _classes(best: Result, predictions: Predictions, names: Sequence[str], pairs: Sequence[Pair]) -> list[str]:
    scored = [row for row in best.per_class if row["top_1_accuracy"] is not None]
    low, high = (choose(scored, key=lambda row: row["top_1_accuracy"]) for choose in (min, max))
    right = correct(predictions)
    wrong = int((~right).sum())
    among = int(((predictions["top_5"] == predictions["label"][:, None]).any(axis=1) & ~right).sum())
    sentences = [
        f"{best.model}’s top-1 accuracy goes from {percent(low['top_1_accuracy'])} ({_first(low)}) to "
        f"{percent(high['top_1_accuracy'])} ({_first(high)}), class by class."
    ]
    if wrong:
        share = percent(among / wrong)
        sentences.append(f"Of its {wrong:,} mistakes, {share} have the right class among the five likeliest.")
    if pairs:
        pair, total = pairs[0], sum(each.count for each in pairs)
        sentences.append(
            f"It confuses {names[pair.first]} and {names[pair.second]} most, in {pair.count} of their "
            f"{pair.num_images:,} images; the {len(pairs)} pairs below hold {percent(total / wrong)} of all mistakes."
        )
    return sentences


def _first(row: Mapping[str, str]) -> str:
    return row["words"].split(",")[0].strip()
