"""The report's files: the tables, results.json and history.csv for programs, the figures, the page, the model card."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tiny_imagenet.report.cost import PUBLISHED, Point, draw_compute, draw_time
from tiny_imagenet.report.curves import draw_curves
from tiny_imagenet.report.diagrams import draw_architecture
from tiny_imagenet.report.figures import draw_accuracy, draw_calibration
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.seeds import ACCURACIES, group_by_seed, repeated
from tiny_imagenet.report.style import to_png
from tiny_imagenet.report.tables import as_markdown, make_tables, marks


def as_json(results: Sequence[Result]) -> str:
    """Returns the results as strict JSON: a list of objects, one a model, accuracies as fractions.

    `over_seeds` is what a model and those that differ from it by the seed alone say together, null without such.
    """
    together = {result.model: group.as_row() for group in repeated(results) for result in group.results}
    objects = [
        {
            "model": result.model,
            "recipe": result.training["recipe"],
            "dataset": result.training["dataset"],
            "epochs": result.training["epochs"],
            **{key: result.evaluation[key] for key in ("top_1_accuracy", "top_5_accuracy", "loss", "objective")},
            **{key: result.training[key] for key in ("num_parameters", "train_seconds", "train_flops", "device")},
            "seeds": [result.training["seed"]],
            "over_seeds": together.get(result.model),
            "flip_averaging": result.flip_averaging,
            "pretrained": result.pretrained,
            "published": None if result.published is None else dict(result.published),
            "published_flops": result.published_flops,
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


def best(results: Sequence[Result]) -> Result:
    """Returns the result with the highest top-1 accuracy, the first among equals, a pretrained one only if all are."""
    comparable = [result for result in results if not result.pretrained]
    return max(comparable or results, key=lambda result: result.evaluation["top_1_accuracy"])


def draw_results(results: Sequence[Result]) -> dict[str, Figure]:
    """Draws what shows no image of the dataset.

    They are accuracy, compute, time, and of each model curves-MODEL, calibration-MODEL and architecture-MODEL.
    """
    published = {result.model: result.published for result in results if result.published}
    evaluations = {
        result.model: result.evaluation | {f"{metric}_error": result.standard_error(metric) for metric in ACCURACIES}
        for result in results
    }
    curves = draw_curves({result.model: result.history for result in results}, published)
    return {
        "accuracy": draw_accuracy(evaluations, published),
        **draw_costs(results),
        **{f"curves-{model}": figure for model, figure in curves.items()},
        **{
            f"calibration-{result.model}": draw_calibration(result.model, result.calibration, result.evaluation["ece"])
            for result in results
        },
        **{f"architecture-{result.model}": draw_architecture(result.architecture) for result in results},
    }


def draw_costs(results: Sequence[Result]) -> dict[str, Figure]:
    """Draws accuracy over training compute (`compute`), the published ones too, and over training time (`time`).

    Seeds of one recipe are points of their own with one label, at the first; a published point has none where the
    model's own lies straight above or below it.
    """
    labels = {}
    for group in group_by_seed(results):
        count = len(group.results)
        labels[group.name] = group.name + marks(group.results[0]) + (f" × {count}" if count > 1 else "")

    def ours(cost: str) -> list[Point]:
        return [
            Point(
                labels.get(each.model, ""), each.training["device"], each.training[cost], *_accuracies(each.evaluation)
            )
            for each in results
        ]

    published = [(each, each.published, each.published_flops or 0.0) for each in results if each.published]
    theirs = [
        Point("" if _close(flops, each.training["train_flops"]) else each.model, PUBLISHED, flops, *_accuracies(row))
        for each, row, flops in published
    ]
    highest = {metric: max(row[metric] for _, row, _ in published) for metric in ACCURACIES} if published else {}
    return {"compute": draw_compute([*ours("train_flops"), *theirs]), "time": draw_time(ours("train_seconds"), highest)}


def _accuracies(row: Mapping[str, float]) -> tuple[float, float]:
    return row["top_1_accuracy"], row["top_5_accuracy"]


def _close(first: float, second: float) -> bool:
    return abs(first - second) < 0.02 * first


def write_report(
    folder: Path,
    results: Sequence[Result],
    page: str,
    card: str,
    figures: Mapping[str, str],
    pictures: Mapping[str, Figure],
) -> None:
    """Writes a report: all aside first, then each file or subfolder by one rename.

    Args:
        folder: Where the files, figures/ and pictures/ go; others in it are left alone.
        results: The models' results.
        page: The page, HTML.
        card: The best model's card, Markdown.
        figures: SVG by name.
        pictures: By name, those that hold images; written as PNG.
    """
    tables = "\n".join(as_markdown(table) for table in make_tables(results))
    texts = {"table.md": tables, "results.json": as_json(results), "index.html": page, "card.md": card}
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
