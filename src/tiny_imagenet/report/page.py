"""The report as one self-contained HTML page: the values are computed here, the layout is in templates/."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from tiny_imagenet.core.run_record import flatten
from tiny_imagenet.core.schema import ModelSettings, Recipe
from tiny_imagenet.report.comparison_tables import HOLDOUT, make_tables
from tiny_imagenet.report.discussion import discuss
from tiny_imagenet.report.file_records import ClassResult, Layer
from tiny_imagenet.report.formats import epochs_of
from tiny_imagenet.report.report_data import ReportData
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.style import INK, MUTED, PAPER, RULE
from tiny_imagenet.report.templating import TEMPLATES, load_template

NUM_EXTREMES = 10  # classes listed as hardest and as easiest, at most


def render_page(
    data: ReportData, figures: Mapping[str, str], images: Mapping[int, bytes], unknown_examples: Sequence[str]
) -> str:
    """Returns the page.

    Args:
        data: The results.
        figures: SVG by name: those of `draw_charts` and `draw_pictures`.
        images: The JPEGs of `data.shown_images`, by index.
        unknown_examples: Requested names of examples that no class has.
    """
    style, *scripts = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js", "matrix.js"))
    script = "\n".join(scripts)
    return load_template("page.html").render(
        manifest=data.manifest,
        names=data.names,
        results=data.results,
        best=data.best,
        short=[result for result in data.results if result.is_short],
        debug=[result for result in data.results if result.is_debug],
        epochs_of=epochs_of,
        versions=_side_by_side({result.model: result.training.versions for result in data.results}),
        tables=make_tables(data.results),
        holdout=HOLDOUT,
        remarks=discuss(data.results, data.best, data.predictions, data.names, data.pairs),
        figures={name: inline(svg, name) for name, svg in figures.items()},
        architectures=_architectures(data.results),
        pairs=data.pairs,
        mistakes=data.mistakes,
        images={index: f"data:image/jpeg;base64,{_base64(image)}" for index, image in images.items()},
        unknown_examples=unknown_examples,
        classes=_classes(data.results, data.names),
        per_class={result.model: _extremes(result) for result in data.results},
        matrix=_matrix(data),
        data=data.data,
        parameters=_side_by_side({name: _parameters(settings) for name, settings in data.settings.items()}),
        style=Markup(style),
        script=Markup(script),
        script_hash=_base64(hashlib.sha256(script.encode()).digest()),
    )


def inline(svg: str, name: str) -> Markup:
    """Returns an SVG document as an element of the page, with ids of its own and the page's colors.

    Args:
        svg: The document, from `to_svg`: its texts are escaped.
        name: Unique on the page.
    """
    element = svg[svg.index("<svg") :]
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    prefix = re.sub(r"[^A-Za-z0-9-]", "-", name)
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", element)
    for color, variable in ((INK, "ink"), (MUTED, "muted"), (RULE, "rule"), (PAPER, "paper")):
        element = re.sub(rf"(?<=[ :]){color}(?=[;\"])", f"var(--{variable})", element)
    return Markup(element)


def _extremes(result: Result) -> dict[str, list[ClassResult]]:
    """Returns the classes with the lowest and the highest top-1 accuracy; top-5 accuracy decides among equals.

    A class whose images are all right is not among the hardest, and one with none right not among the easiest.
    """
    ordered = sorted(
        (row for row in result.per_class if row.top_1_accuracy is not None),
        key=lambda row: (row.top_1_accuracy or 0.0, row.top_5_accuracy or 0.0),
    )
    count = min(NUM_EXTREMES, len(ordered) // 2)
    return {
        "hardest": [row for row in ordered[:count] if row.top_1_accuracy != 1.0],
        "easiest": [row for row in ordered[::-1][:count] if row.top_1_accuracy],
    }


def _classes(results: Sequence[Result], names: Sequence[str]) -> list[tuple[str, list[float | None]]]:
    """Returns each class's name and its top-1 accuracy by each model."""
    columns = [[row.top_1_accuracy for row in result.per_class] for result in results]
    return [(name, list(row)) for name, *row in zip(names, *columns, strict=True)]


def _architectures(results: Sequence[Result]) -> list[tuple[str, list[str]]]:
    """Returns the first model of each architecture, and all models that have it."""
    models: dict[tuple[Layer, ...], list[str]] = {}
    for result in results:
        models.setdefault(result.architecture.layers, []).append(result.model)
    return [(names[0], names) for names in models.values()]


def _matrix(data: ReportData) -> dict[str, Any]:
    """Returns the input of the script that draws confusion matrices: labels and first guesses, of all images.

    The classes are in the order of their wnids, in which WordNet has similar ones side by side. Models that were
    evaluated on other images than the best one are left out.
    """
    classes, best = data.manifest.classes, data.best_predictions
    order = sorted(range(len(classes)), key=lambda label: classes[label].wnid)
    rank = np.argsort(order).astype("<u1" if len(classes) <= 256 else "<u2")
    models = [data.best.model, *(model for model in data.predictions if model != data.best.model)]
    return {
        "names": [data.names[label] for label in order],
        "bytes": rank.itemsize,
        "labels": _base64(rank[best.label].tobytes()),
        "guesses": {
            model: _base64(rank[data.predictions[model].guess].tobytes())
            for model in models
            if data.predictions[model].has_labels_of(best)
        },
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _side_by_side(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns nested mappings as columns: `headers`, and `rows` of a key, its values, and whether these differ."""
    columns = [flatten(node) for node in nodes.values()]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [(key, [column.get(key, "") for column in columns]) for key in keys]
    return {"headers": list(nodes), "rows": [(key, row, any(cell != row[0] for cell in row)) for key, row in rows]}


def _parameters(settings: ModelSettings) -> dict[str, Any]:
    """Returns a model's parameters by their keys in params.yaml."""
    keys = ("architecture", "recipe", "recipe_epochs", *Recipe.model_fields, "seed", "arguments")
    content = settings.model_dump()
    return {key: content[key] for key in keys}
