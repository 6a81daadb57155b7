"""Sentences on single models: convergence, confidence, classes and mistakes."""

from __future__ import annotations

from collections.abc import Sequence

from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.dataset.classes import first_name
from tiny_imagenet.report.convergence import MIN_EPOCHS, assess
from tiny_imagenet.report.formats import FEW, part_of, percent, points, signed
from tiny_imagenet.report.mistakes import Pair
from tiny_imagenet.report.predictions import Predictions
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.significance import NUM_STANDARD_ERRORS
from tiny_imagenet.scoring.metrics import TOP_1


def describe_learning(results: Sequence[Result]) -> list[str]:
    """Returns a text on the convergence of each model, and one sentence on all that have too few epochs to judge it."""
    short = [result for result in results if len(result.history) < MIN_EPOCHS]
    texts = [describe_convergence(result) for result in results if result not in short]
    if short:
        names = ", ".join(f"{result.model} ({len(result.history)})" for result in short)
        texts.append(f"Curves of fewer than {MIN_EPOCHS} epochs are not judged: {names}.")
    return texts


def describe_convergence(result: Result) -> str:
    """Returns a sentence on the end of a training of enough epochs, and one on the gap of train and val accuracy."""
    found = assess(result.history)
    name, last = result.model, found.epochs
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


def describe_confidence(results: Sequence[Result]) -> str:
    """Returns a sentence on the overconfidence of all models."""
    texts = [f"{result.model} {points(overconfidence(result))}" for result in results]
    measure = "The mean probability of the first guess less its accuracy, in points (above zero: too sure of itself)"
    return f"{measure}: {', '.join(texts)}."


def overconfidence(result: Result) -> float:
    """Returns the mean confidence less the accuracy, from the bins of the calibration."""
    total, weighted = 0, 0.0
    for row in result.calibration:
        if row.confidence is not None and row.accuracy is not None:
            total += row.num_images
            weighted += row.num_images * (row.confidence - row.accuracy)
    return weighted / total


def describe_classes(best: Result, predictions: Predictions, names: Sequence[str], pairs: Sequence[Pair]) -> list[str]:
    """Returns sentences on the hardest and the easiest class, the mistakes, and the most confused classes."""
    accuracies = [(row.top_1_accuracy, row.words) for row in best.per_class if row.top_1_accuracy is not None]
    low, high = (choose(accuracies, key=lambda pair: pair[0]) for choose in (min, max))
    wrong = int((~predictions.is_correct).sum())
    in_top_5 = int((predictions.is_in_top_5 & ~predictions.is_correct).sum())
    sentences = [
        f"{best.model}’s top-1 accuracy goes from {percent(low[0])} ({first_name(low[1])}) to "
        f"{percent(high[0])} ({first_name(high[1])}), class by class."
    ]
    if low[0] == high[0]:
        sentences = [f"{best.model}’s top-1 accuracy is {percent(low[0])} in every class."]
    if wrong:
        part = part_of(in_top_5, wrong)
        sentences.append(f"Of its {wrong:,} mistakes, {part} have the right class among the five likeliest.")
    if pairs:
        pair, total = pairs[0], sum(each.count for each in pairs)
        of_all = f"{total} of the {wrong}" if wrong < FEW else f"{percent(total / wrong)} of all"
        sentences.append(
            f"It confuses {names[pair.first]} and {names[pair.second]} most, in {pair.count} of their "
            f"{pair.num_images:,} images; the {len(pairs)} pairs below hold {of_all} mistakes."
        )
    return sentences
