"""The report as one self-contained HTML page: what is shown is chosen here, how it looks in templates/."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tiny_imagenet.core.run_record import flatten
from tiny_imagenet.dataset.classes import short_names
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.report.data_summary import summarize_data
from tiny_imagenet.report.discussion import discuss
from tiny_imagenet.report.examples import first_name
from tiny_imagenet.report.mistakes import Mistake, Pair, Predictions
from tiny_imagenet.report.reporting import best
from tiny_imagenet.report.results import Result, Row
from tiny_imagenet.report.style import INK, MUTED, PAPER, RULE
from tiny_imagenet.report.tables import HOLDOUT, Number, is_short, make_tables

TEMPLATES = Path(__file__).parent / "templates"
EXTREMES = 10  # classes listed as hardest and as easiest, at most


def render_page(
    *,
    manifest: Manifest,
    results: Sequence[Result],
    predictions: Mapping[str, Predictions],
    figures: Mapping[str, str],
    pairs: Sequence[Pair],
    mistakes: Sequence[Mistake],
    images: Mapping[int, bytes],
    unknown_examples: Sequence[str],
    data_report: Mapping[str, Any],
    parameters: Mapping[str, Mapping[str, Any]],
) -> str:
    """Returns the page.

    Args:
        manifest: Of the dataset's records.
        results: The models' results.
        predictions: By model.
        figures: SVG by name: accuracy, compute, time, augmentation, example-1 and so on, and of each model
            curves-MODEL, calibration-MODEL and architecture-MODEL.
        pairs: The classes that the best model confuses most.
        mistakes: The best model's mistakes with the highest probabilities.
        images: The JPEGs that `pairs` and `mistakes` speak of, by their place in the split.
        unknown_examples: Names asked for that no class of the dataset has.
        data_report: What preprocess found in the data.
        parameters: The effective parameters of each model, flat.
    """
    names = short_names(manifest.classes)
    style, *scripts = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js", "matrix.js"))
    script = "\n".join(scripts)
    return (
        _environment()
        .get_template("page.html")
        .render(
            manifest=manifest,
            names=names,
            results=results,
            best=best(results),
            short=[result for result in results if is_short(result)],
            versions=_beside({result.model: result.training["versions"] for result in results}),
            tables=make_tables(results),
            holdout=HOLDOUT,
            remarks=discuss(results, best(results), predictions, names, pairs),
            figures={name: inline(svg, name) for name, svg in figures.items()},
            architectures=_architectures(results),
            pairs=pairs,
            mistakes=mistakes,
            images={place: f"data:image/jpeg;base64,{_base64(image)}" for place, image in images.items()},
            unknown_examples=unknown_examples,
            classes=_classes(results, names),
            per_class={result.model: _extremes(result) for result in results},
            matrix=_matrix(manifest, predictions, best(results).model),
            data=summarize_data(data_report, manifest.classes),
            parameters=_beside({name: _shortened(flat) for name, flat in parameters.items()}),
            style=Markup(style),
            script=Markup(script),
            script_hash=_base64(hashlib.sha256(script.encode()).digest()),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"first_name": first_name, "value": _value}
    environment.tests["number"] = lambda cell: isinstance(cell, Number)
    return environment


def inline(svg: str, name: str) -> Markup:
    """Returns an SVG document as an element of a page: its own ids, and the page's colours for ink and paper.

    Args:
        svg: The document, as figures.to_svg wrote it: its texts are escaped already.
        name: Unique on the page.
    """
    element = svg[svg.index("<svg") :]
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    prefix = re.sub(r"[^A-Za-z0-9-]", "-", name)
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", element)
    for colour, variable in ((INK, "ink"), (MUTED, "muted"), (RULE, "rule"), (PAPER, "paper")):
        element = re.sub(rf"(?<=[ :]){colour}(?=[;\"])", f"var(--{variable})", element)
    return Markup(element)


def _extremes(result: Result) -> dict[str, list[Row]]:
    """Returns the classes with the lowest and the highest top-1 accuracy, top-5 accuracy deciding among equals."""
    scored = [row for row in result.per_class if row["num_images"] and row["top_1_accuracy"] is not None]
    ordered = sorted(scored, key=lambda row: (row["top_1_accuracy"], row["top_5_accuracy"]))
    count = min(EXTREMES, len(ordered) // 2)
    return {"hardest": ordered[:count], "easiest": ordered[::-1][:count]}


def _classes(results: Sequence[Result], names: Sequence[str]) -> list[tuple[str, list[float | None]]]:
    """Returns each class's name and its top-1 accuracy by each model."""
    columns = [[row["top_1_accuracy"] for row in result.per_class] for result in results]
    return [(name, list(row)) for name, *row in zip(names, *columns, strict=True)]


def _architectures(results: Sequence[Result]) -> list[tuple[str, list[str]]]:
    """Returns the first model of each architecture, and all that have it."""
    models: dict[str, list[str]] = {}
    for result in results:
        models.setdefault(json.dumps(result.architecture["layers"]), []).append(result.model)
    return [(names[0], names) for names in models.values()]


def _matrix(manifest: Manifest, predictions: Mapping[str, Predictions], first: str) -> dict[str, Any]:
    """Returns what the page's script draws confusion matrices from: labels and first guesses, of all images.

    The classes are in the order of their wnids, where WordNet has like beside like. Models that were scored on other
    images than the first are left out.
    """
    order = sorted(range(manifest.num_classes), key=lambda label: manifest.classes[label].wnid)
    rank = np.argsort(order).astype("<u1" if manifest.num_classes <= 256 else "<u2")
    names, labels = short_names(manifest.classes), predictions[first]["label"]
    models = [first, *(model for model in predictions if model != first)]
    return {
        "names": [names[label] for label in order],
        "bytes": rank.itemsize,
        "labels": _base64(rank[labels].tobytes()),
        "guesses": {
            model: _base64(rank[predictions[model]["top_5"][:, 0]].tobytes())
            for model in models
            if np.array_equal(predictions[model]["label"], labels)
        },
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _beside(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns nested mappings, one a column, as `headers` and `rows`: a key, its value in each, whether they differ."""
    columns = [flatten(node) for node in nodes.values()]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [(key, [column.get(key, "") for column in columns]) for key in keys]
    return {"headers": list(nodes), "rows": [(key, row, any(cell != row[0] for cell in row)) for key, row in rows]}


def _shortened(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a model's parameters by the keys that `models.NAME` takes in params.yaml."""
    return {key.removeprefix("recipe."): value for key, value in flat.items() if key != "model"}


def _value(value: object) -> str:
    """Returns a plain value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
