"""The report as one self-contained HTML page: what is shown is chosen here, how it looks in page.html."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tiny_imagenet.examples import first_name
from tiny_imagenet.figures import INK, MUTED, PAPER, RULE
from tiny_imagenet.params import as_flat
from tiny_imagenet.reporting import best
from tiny_imagenet.results import Result, Row
from tiny_imagenet.tables import is_short, make_tables
from tiny_imagenet.tfrecords import Manifest

TEMPLATE = "page.html"
EXTREMES = 10  # classes listed as hardest and as easiest, at most
LISTED = 20  # entries of a list in the data report that are shown


def render_page(
    *,
    manifest: Manifest,
    results: Sequence[Result],
    figures: Mapping[str, str],
    unknown_examples: Sequence[str],
    data_report: Mapping[str, Any],
    parameters: Mapping[str, Mapping[str, Any]],
) -> str:
    """Returns the page.

    Args:
        manifest: Of the dataset's records.
        results: The models' results.
        figures: SVG by name: accuracy, compute, time, calibration, curves-MODEL, architecture-MODEL, augmentation,
            example-1 and so on.
        unknown_examples: Names asked for that no class of the dataset has.
        data_report: What preprocess found in the data.
        parameters: The effective parameters of each model.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"first_name": first_name, "label": _label, "value": _value, "rows": _rows}
    return environment.get_template(TEMPLATE).render(
        manifest=manifest,
        results=results,
        best=best(results),
        short=[result for result in results if is_short(result)],
        versions=_versions(results),
        tables=make_tables(results),
        figures={name: inline(svg, name) for name, svg in figures.items()},
        unknown_examples=unknown_examples,
        extremes={result.model: _extremes(result) for result in results},
        data_report=data_report,
        listed=LISTED,
        parameters=parameters,
    )


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


def _versions(results: Sequence[Result]) -> str:
    """Returns the programs' versions; more than one where the models were trained with different ones."""
    versions: dict[str, list[str]] = {}
    for result in results:
        for program, version in result.training["versions"].items():
            versions.setdefault(program, [])
            if version not in versions[program]:
                versions[program].append(version)
    return ", ".join(f"{program} {' and '.join(found)}" for program, found in versions.items())


def _rows(nodes: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Returns nested mappings, one a column, as rows: a dotted key and its value in each, "" where there is none."""
    columns = [as_flat(node) for node in nodes.values()]
    keys = dict.fromkeys(key for column in columns for key in column)
    return [(key, [column.get(key, "") for column in columns]) for key in keys]


def _label(key: object) -> str:
    """Returns a key as people read it: "jpeg bytes, mean" of "jpeg_bytes.mean"."""
    return str(key).replace("_", " ").replace(".", ", ")


def _value(value: object) -> str:
    """Returns a plain value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
