"""The comparison table beside the published one, the table over seeds, and both as Markdown and as plain text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tiny_imagenet.report.results import Result
from tiny_imagenet.report.seeds import ACCURACIES, Group, repeated

NONE = "–"
SHORT, FLIPPED, PRETRAINED = "*", "†", "‡"
HOLDOUT = "Scored on the hold-out that was cut from train, to tune on: where it says val, that is meant."
TEXT_WIDTH = 110  # characters


class Number(str):
    """A text, and the number that it stands for: sorting goes by that."""

    value: float

    def __new__(cls, text: str, value: float) -> Number:
        """Returns the text with its number."""
        new = super().__new__(cls, text)
        new.value = value
        return new


@dataclass(frozen=True)
class Table:
    """A table of texts, some of them a `Number`: the first column names the rows."""

    headers: list[str]
    rows: list[list[str]]
    notes: list[str]


def make_tables(results: Sequence[Result]) -> list[Table]:
    """Returns the comparison, and behind it, where there is something to say: the published plot, and the seeds."""
    groups = repeated(results)
    plotted = [result for result in results if result.published and result.published.get("curve")]
    return [comparison(results), *([on_the_way(plotted)] if plotted else []), *([over_seeds(groups)] if groups else [])]


def comparison(results: Sequence[Result]) -> Table:
    """Returns the comparison of the models; the published columns only where something was published."""
    columns = [_column(result) for result in results]
    any_published = any(result.published for result in results)
    headers = [header for header in columns[0] if any_published or not header.startswith(("published", "difference"))]
    rows = [[column[header] for header in headers] for column in columns]
    return Table(headers, rows, _notes(results, any_published=any_published))


def _notes(results: Sequence[Result], *, any_published: bool) -> list[str]:
    images = sorted({result.evaluation["num_images"] for result in results})
    notes = [
        f"± one standard error of an accuracy p on n = {' or '.join(f'{number:,}' for number in images)} val images, "
        "√(p(1 − p)/n); the spread between seeds comes on top.",
        "Training compute: 6 operations for each multiply-accumulate of each image seen. "
        "Training time: of all steps, without validation.",
    ]
    objective = "Objective: loss (mean cross-entropy) plus the L2 term"
    notes.append(f"{objective}; the published loss includes it, so compare that." if any_published else f"{objective}.")
    if any(result.split != "val" for result in results):
        notes.append(HOLDOUT)
    if any(is_short(result) for result in results):
        beside = ": not comparable with the published figures" if any_published else ""
        notes.append(f"{SHORT} Trained for fewer epochs than the recipe says{beside}.")
    if any(result.flip_averaging for result in results):
        notes.append(f"{FLIPPED} Averaged over the image and its mirror image.")
    if any(result.pretrained for result in results):
        notes.append(f"{PRETRAINED} Pretrained: ImageNet contains these classes; not comparable.")
    return notes


def on_the_way(results: Sequence[Result]) -> Table:
    """Returns the top-1 accuracy on val beside that of a published plot, epoch by epoch; – is still to come."""
    headers = ["on the way", "after epoch", "top-1 %", "published plot, top-1 %", "difference top-1"]
    rows = []
    for result in results:
        scored = {row["epoch"]: row["val_top_1_accuracy"] for row in result.history}
        for epoch, published in sorted((result.published or {})["curve"].items()):
            row = [result.model, Number(str(epoch), epoch), NONE, Number(f"{100.0 * published:.3g}", published), NONE]
            if epoch in scored:
                accuracy, error = scored[epoch], result.error_of(scored[epoch])
                difference = f"{100.0 * (accuracy - published):+.1f} ± {100.0 * error:.1f}".replace("-", "−")
                row[2] = Number(f"{100.0 * accuracy:.2f}", accuracy)
                row[4] = Number(difference, accuracy - published)
            rows.append(row)
    return Table(headers, rows, ["Read off a plot: right to about a point."])


def over_seeds(groups: Sequence[Group]) -> Table:
    """Returns the table of groups of at least two seeds."""
    headers, rows = ["over seeds", "seeds"], []
    for name in ("top-1", "top-5"):
        headers += [f"mean {name} %", "std", "std. error", f"{name} less 2 std. errors"]
    for group in groups:
        count = len(group.seeds)
        row = [group.name, Number(f"{count} ({', '.join(map(str, group.seeds))})", count)]
        for metric in ACCURACIES:
            spread = group.spread(metric)
            values = (spread.mean, spread.standard_deviation, spread.standard_error, spread.low)
            row += [Number(f"{100.0 * value:.2f}", value) for value in values]
        rows.append(row)
    note = "One architecture and recipe, another seed: mean, sample standard deviation, and the mean's standard error."
    return Table(headers, rows, [note])


def as_markdown(table: Table) -> str:
    """Returns the table in GitHub's Markdown, cells escaped, the notes below."""
    right = [":--", *["--:"] * (len(table.headers) - 1)]
    rows = [table.headers, right, *[[_escape_markdown(cell) for cell in row] for row in table.rows]]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n\n" + "\n".join(f"{_escape_markdown(note)}  " for note in table.notes) + "\n"


def as_text(table: Table) -> str:
    """Returns the table for a terminal: a line a measure, a column a row of the table, the notes below.

    Where the columns do not fit beside one another, the rest follow below.
    """
    first = max(map(len, table.headers))
    blocks: list[list[list[str]]] = []
    room = 0
    for row in table.rows:
        width = 2 + max(map(len, row))
        if width > room:
            blocks.append([])
            room = TEXT_WIDTH - first
        blocks[-1].append(row)
        room -= width
    return "\n\n".join([*(_block(table.headers, rows, first) for rows in blocks), "\n".join(table.notes)])


def _block(headers: list[str], rows: list[list[str]], first: int) -> str:
    columns = [[cell.rjust(max(map(len, row))) for cell in row] for row in rows]
    return "\n".join(
        "  ".join(line) for line in zip((header.ljust(first) for header in headers), *columns, strict=True)
    )


def _column(result: Result) -> dict[str, str]:
    evaluation, training = result.evaluation, result.training
    cells = {"model": result.model}
    for metric, name in zip(ACCURACIES, ("top-1", "top-5"), strict=True):
        cells |= _accuracy(result, metric, name)
    epochs = f"{training['epochs']} of {training['recipe_epochs']}" + (f" {SHORT}" * is_short(result))
    cells["epochs"] = Number(epochs, training["epochs"])
    cells["training compute"] = Number(compute(training["train_flops"]), training["train_flops"])
    cells["training time"] = Number(duration(training["train_seconds"]), training["train_seconds"])
    cells["device"] = str(training["device"])
    cells["parameters"] = Number(f"{training['num_parameters']:,}", training["num_parameters"])
    cells["loss"] = Number(f"{evaluation['loss']:.3f}", evaluation["loss"])
    cells["objective"] = Number(f"{evaluation['objective']:.3f}", evaluation["objective"])
    published = result.published and result.published["loss"]
    cells["published objective"] = Number(f"{published:.2f}", published) if published else NONE
    return cells


def _accuracy(result: Result, metric: str, name: str) -> dict[str, str]:
    """Returns the cells about an accuracy: its own, the published one and the difference."""
    value, error = 100.0 * result.evaluation[metric], 100.0 * result.standard_error(metric)
    if result.published is None:
        own = Number(f"{value:.2f} ± {error:.2f}{marks(result)}", value)
        return {f"{name} %": own, f"published {name} %": NONE, f"difference {name}": NONE}
    published = 100.0 * result.published[metric]
    difference = f"{value - published:+.2f} ± {error:.2f}".replace("-", "−")
    return {
        f"{name} %": Number(f"{value:.2f}{marks(result)}", value),
        f"published {name} %": Number(f"{published:.1f}", published),
        f"difference {name}": Number(difference, value - published),
    }


def is_short(result: Result) -> bool:
    """Returns whether the model was trained for fewer epochs than its recipe says."""
    return bool(result.training["epochs"] < result.training["recipe_epochs"])


def marks(result: Result) -> str:
    """Returns the signs of the notes that a model's accuracies need, each after a blank."""
    return f" {FLIPPED}" * result.flip_averaging + f" {PRETRAINED}" * bool(result.pretrained)


def duration(seconds: float) -> str:
    """Returns a duration as people say it: 42 s, 12 min 03 s, 3 h 05 min."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 3599.5:
        return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def compute(flops: float) -> str:
    """Returns a number of floating-point operations with three significant digits: 2.38 PFLOP."""
    exponent = min(18, max(6, 3 * int(math.log10(max(flops, 1.0)) // 3)))
    prefix = {6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}[exponent]
    return f"{flops / 10**exponent:.3g} {prefix}FLOP"


def _escape_markdown(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
