"""The comparison table beside the published one, for people, and results.json, for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from tiny_imagenet.diagrams import draw_architecture
from tiny_imagenet.figures import draw_accuracy, draw_calibration, draw_curves, to_png
from tiny_imagenet.results import Result

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A table of texts: the first column names the models."""

    headers: list[str]
    rows: list[list[str]]
    notes: list[str]


def as_json(results: Iterable[Result]) -> str:
    """Returns the results as strict JSON: a list of objects, one a model, accuracies as fractions."""
    objects = [
        {
            "model": result.model,
            "recipe": result.training["recipe"],
            "dataset": result.training["dataset"],
            "epochs": result.training["epochs"],
            **{key: result.evaluation[key] for key in ("top_1_accuracy", "top_5_accuracy", "loss", "objective")},
            **{key: result.training[key] for key in ("num_parameters", "train_seconds", "train_flops", "device")},
            "seeds": [result.training["seed"]],
            "published": None if result.published is None else dict(result.published),
        }
        for result in results
    ]
    return json.dumps(objects, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(results: Iterable[Result]) -> str:
    """Returns every epoch of every model, with the history's own columns behind the model's name."""
    rows = [{"model": result.model, **row, "epoch": int(row["epoch"])} for result in results for row in result.history]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def comparison(results: Sequence[Result]) -> Table:
    """Returns the comparison of the models; the published columns only where something was published."""
    columns = [_column(result) for result in results]
    any_published = any(result.published for result in results)
    headers = [header for header in columns[0] if any_published or not header.startswith(("published", "difference"))]
    images = sorted({result.evaluation["num_images"] for result in results})
    notes = [
        f"± one standard error of an accuracy p on n = {' or '.join(f'{number:,}' for number in images)} val images, "
        "√(p(1 − p)/n); the spread between seeds comes on top."
    ]
    objective = "Objective: loss (mean cross-entropy) plus the L2 term"
    notes.append(f"{objective}; the published loss includes it, so compare that." if any_published else f"{objective}.")
    if any(is_short(result) for result in results):
        beside = ": not comparable with the published figures" if any_published else ""
        notes.append(f"* Trained for fewer epochs than the recipe says{beside}.")
    return Table(headers, [[column[header] for header in headers] for column in columns], notes)


def best(results: Sequence[Result]) -> Result:
    """Returns the result with the highest top-1 accuracy, the first among equals."""
    return max(results, key=lambda result: result.evaluation["top_1_accuracy"])


def draw_results(results: Sequence[Result]) -> dict[str, Figure]:
    """Draws what shows no image of the dataset: accuracy, calibration, curves-MODEL, architecture-MODEL."""
    published = {result.model: result.published for result in results if result.published}
    evaluations = {
        result.model: result.evaluation
        | {f"{metric}_error": result.standard_error(metric) for metric in ("top_1_accuracy", "top_5_accuracy")}
        for result in results
    }
    errors = {result.model: result.evaluation["ece"] for result in results}
    curves = draw_curves({result.model: result.history for result in results}, published)
    return {
        "accuracy": draw_accuracy(evaluations, published),
        "calibration": draw_calibration({result.model: result.calibration for result in results}, errors),
        **{f"curves-{model}": figure for model, figure in curves.items()},
        **{f"architecture-{result.model}": draw_architecture(result.architecture) for result in results},
    }


def as_markdown(table: Table) -> str:
    """Returns the table in GitHub's Markdown, cells escaped, the notes below."""
    right = [":--", *["--:"] * (len(table.headers) - 1)]
    rows = [table.headers, right, *[[_escape_markdown(cell) for cell in row] for row in table.rows]]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n\n" + "\n".join(f"{_escape_markdown(note)}  " for note in table.notes) + "\n"


def as_text(table: Table) -> str:
    """Returns the table for a terminal: a line a measure, a column a model, the notes below."""
    columns = [table.headers, *table.rows]
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = []
    for cells in zip(*columns, strict=True):
        padded = [cells[0].ljust(widths[0]), *[cell.rjust(w) for cell, w in zip(cells[1:], widths[1:], strict=True)]]
        lines.append("  ".join(padded))
    return "\n".join([*lines, "", *table.notes])


def _column(result: Result) -> dict[str, str]:
    evaluation, training = result.evaluation, result.training
    cells = {"model": result.model}
    for metric, name in (("top_1_accuracy", "top-1"), ("top_5_accuracy", "top-5")):
        value, error = 100.0 * evaluation[metric], 100.0 * result.standard_error(metric)
        published = 100.0 * result.published[metric] if result.published else None
        cells[f"{name} %"] = f"{value:.2f} ± {error:.2f}" if published is None else f"{value:.2f}"
        cells[f"published {name} %"] = NONE if published is None else f"{published:.1f}"
        cells[f"difference {name}"] = (
            NONE if published is None else f"{value - published:+.2f} ± {error:.2f}".replace("-", "−")
        )
    cells["loss"] = f"{evaluation['loss']:.3f}"
    cells["objective"] = f"{evaluation['objective']:.3f}"
    cells["published objective"] = f"{result.published['loss']:.2f}" if result.published else NONE
    cells["epochs"] = f"{training['epochs']} of {training['recipe_epochs']}" + (" *" if is_short(result) else "")
    cells["parameters"] = f"{training['num_parameters']:,}"
    cells["training time"] = duration(training["train_seconds"])
    cells["training compute"] = _flop(training["train_flops"])
    cells["device"] = str(training["device"])
    return cells


def is_short(result: Result) -> bool:
    """Returns whether the model was trained for fewer epochs than its recipe says."""
    return bool(result.training["epochs"] < result.training["recipe_epochs"])


def duration(seconds: float) -> str:
    """Returns a duration as people say it: 42 s, 12 min 03 s, 3 h 05 min."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 3599.5:
        return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _flop(number: float) -> str:
    exponent = min(18, max(6, 3 * int(math.log10(max(number, 1.0)) // 3)))
    prefix = {6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}[exponent]
    return f"{number / 10**exponent:.3g} {prefix}FLOP"


def _escape_markdown(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def write_report(
    folder: Path,
    results: Sequence[Result],
    page: str,
    figures: Mapping[str, str],
    pictures: Mapping[str, Figure],
) -> None:
    """Writes a report: all aside first, then each file or subfolder by one rename.

    Args:
        folder: Where the files, figures/ and pictures/ go; others in it are left alone.
        results: The models' results.
        page: The page, HTML.
        figures: SVG by name.
        pictures: By name, those that hold images; written as PNG.
    """
    texts = {"table.md": as_markdown(comparison(results)), "results.json": as_json(results), "index.html": page}
    files = {name: text.encode("utf-8") for name, text in texts.items()}
    files["history.csv"] = as_csv(results).encode("utf-8")
    files |= {f"figures/{name}.svg": svg.encode("utf-8") for name, svg in figures.items()}
    files |= {f"pictures/{name}.png": to_png(figure) for name, figure in pictures.items()}
    aside = folder / ".new"
    shutil.rmtree(aside, ignore_errors=True)
    for name, content in files.items():
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (aside / name).write_bytes(content)
    for path in sorted(aside.iterdir()):
        if path.is_dir():
            shutil.rmtree(folder / path.name, ignore_errors=True)
        path.replace(folder / path.name)
    aside.rmdir()
