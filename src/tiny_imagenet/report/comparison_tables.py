"""The comparison table beside the published one, the table of a published plot, and the table over seeds."""

from __future__ import annotations

from collections.abc import Sequence

from tiny_imagenet.report.formats import NONE, epochs_of, format_duration, format_flops, plus_minus, signed
from tiny_imagenet.report.results import ACCURACIES, SCORES, Result
from tiny_imagenet.report.seeds import Group, repeated
from tiny_imagenet.report.significance import RULE_OF_THREE
from tiny_imagenet.report.tables import Number, Table
from tiny_imagenet.scoring.metrics import Metric

SHORT, FLIPPED, PRETRAINED, DEBUG = "*", "†", "‡", "§"
HOLDOUT = "Scored on the hold-out that was cut from train, to tune on: where it says val, that is meant."


def make_tables(results: Sequence[Result]) -> list[Table]:
    """Returns the comparison, then, where there are any, the tables of published plots and of seeds."""
    groups = repeated(results)
    plotted = [result for result in results if result.published and result.published.curve]
    return [comparison(results), *([on_the_way(plotted)] if plotted else []), *([over_seeds(groups)] if groups else [])]


def comparison(results: Sequence[Result]) -> Table:
    """Returns the comparison of the models; the published columns only where something was published."""
    columns = [_cells(result) for result in results]
    any_published = any(result.published for result in results)
    headers = [header for header in columns[0] if any_published or not header.startswith(("published", "difference"))]
    rows = [[column[header] for header in headers] for column in columns]
    return Table(headers, rows, _notes(results, any_published=any_published))


def _notes(results: Sequence[Result], *, any_published: bool) -> list[str]:
    images = sorted({result.evaluation.num_images for result in results})
    notes = [
        f"± one standard error of an accuracy p on n = {' or '.join(f'{number:,}' for number in images)} val images, "
        "√(p(1 − p)/n); the spread between seeds comes on top.",
        "Training compute: 6 operations for each multiply-accumulate of each image seen. "
        "Training time: of all steps, without validation.",
    ]
    if any(result.value(accuracy) in (0.0, 1.0) for result in results for accuracy in ACCURACIES):
        bound = 100.0 * RULE_OF_THREE / images[0]
        notes[1:1] = [
            "An accuracy of 0 or 100 % has no ±: this formula gives none. "
            f"On other images it is within {bound:.2f} points of that, with 95 % confidence ({RULE_OF_THREE}/n)."
        ]
    objective = "Objective: loss (mean cross-entropy) plus the L2 term"
    notes.append(f"{objective}; the published loss includes it, so compare that." if any_published else f"{objective}.")
    if any(result.evaluation.split != "val" for result in results):
        notes.append(HOLDOUT)
    if any(result.is_short for result in results):
        beside = ": not comparable with the published figures" if any_published else ""
        notes.append(f"{SHORT} Trained for fewer epochs than the recipe says{beside}.")
    if any(result.training.flip_tta for result in results):
        notes.append(f"{FLIPPED} Averaged over the image and its mirror image.")
    if any(result.training.pretrained for result in results):
        notes.append(f"{PRETRAINED} Pretrained: ImageNet contains these classes; not comparable.")
    if debugged := [f"{result.model} ({result.training.debug})" for result in results if result.is_debug]:
        notes.append(f"{DEBUG} Debug run, not comparable: {', '.join(debugged)}.")
    return notes


def on_the_way(results: Sequence[Result]) -> Table:
    """Returns the val top-1 accuracy beside that of a published plot, by epoch; "–" for epochs not yet trained."""
    headers = ["on the way", "after epoch", "top-1 %", "published plot, top-1 %", "difference top-1"]
    rows = []
    for result in results:
        trained = {epoch.epoch: epoch.val_top_1_accuracy for epoch in result.history}
        curve = result.published.curve if result.published else {}
        for epoch, published in sorted(curve.items()):
            row = [result.model, Number(str(epoch), epoch), NONE, Number(f"{100.0 * published:.3g}", published), NONE]
            if epoch in trained:
                accuracy, error = trained[epoch], result.error_of(trained[epoch])
                difference = f"{signed(100.0 * (accuracy - published), '.1f')} ± {100.0 * error:.1f}"
                row[2] = Number(f"{100.0 * accuracy:.2f}", accuracy)
                row[4] = Number(difference, accuracy - published)
            rows.append(row)
    return Table(headers, rows, ["Read off a plot: right to about a point."])


def over_seeds(groups: Sequence[Group]) -> Table:
    """Returns the table of groups of at least two seeds."""
    headers, rows = ["over seeds", "seeds"], []
    for accuracy in ACCURACIES:
        headers += [f"mean {accuracy.label} %", "std", "std. error", f"{accuracy.label} less 2 std. errors"]
    for group in groups:
        count = len(group.seeds)
        row = [group.name, Number(f"{count} ({', '.join(map(str, group.seeds))})", count)]
        for accuracy in ACCURACIES:
            spread = group.spread(accuracy)
            values = (spread.mean, spread.standard_deviation, spread.standard_error, spread.low)
            row += [Number(f"{100.0 * value:.2f}", value) for value in values]
        rows.append(row)
    note = "One architecture and recipe, another seed: mean, sample standard deviation, and the mean's standard error."
    return Table(headers, rows, [note])


def _cells(result: Result) -> dict[str, str]:
    """Returns a model's cells by header: the accuracies, the cost, the other scores."""
    training = result.training
    cells = {"model": result.model}
    for accuracy in ACCURACIES:
        cells |= _accuracy(result, accuracy)
    epochs = epochs_of(training.epochs, training.recipe_epochs) + (f" {SHORT}" * result.is_short)
    cells["epochs"] = Number(epochs, training.epochs)
    cells["training compute"] = Number(format_flops(training.train_flops), training.train_flops)
    duration, seconds = format_duration(result.train_seconds), result.train_seconds
    cells["training time"] = duration if seconds is None else Number(duration, seconds)
    cells["device"] = training.device
    cells["parameters"] = Number(f"{training.num_parameters:,}", training.num_parameters)
    for score in SCORES:
        if score not in ACCURACIES:
            cells[score.label] = _score(result.value(score), score)
    published = result.published and result.published.loss
    cells["published objective"] = Number(f"{published:.2f}", published) if published else NONE
    return cells


def _score(value: float, metric: Metric) -> Number:
    return Number(f"{value:.2%}" if metric.is_fraction else f"{value:.3f}", value)


def _accuracy(result: Result, accuracy: Metric) -> dict[str, str]:
    """Returns the cells of an accuracy: the model's own, the published one, and the difference."""
    name = accuracy.label
    value, error = 100.0 * result.value(accuracy), 100.0 * result.standard_error(accuracy)
    fraction = result.published_value(accuracy)
    if fraction is None:
        own = Number(plus_minus(f"{value:.2f}", error) + marks(result), value)
        return {f"{name} %": own, f"published {name} %": NONE, f"difference {name}": NONE}
    published = 100.0 * fraction
    return {
        f"{name} %": Number(f"{value:.2f}{marks(result)}", value),
        f"published {name} %": Number(f"{published:.1f}", published),
        f"difference {name}": Number(f"{signed(value - published)} ± {error:.2f}", value - published),
    }


def marks(result: Result) -> str:
    """Returns the signs of the notes that a model's accuracies need, each after a blank."""
    pairs = (FLIPPED, result.training.flip_tta), (PRETRAINED, result.training.pretrained), (DEBUG, result.is_debug)
    return "".join(f" {mark}" for mark, applies in pairs if applies)
