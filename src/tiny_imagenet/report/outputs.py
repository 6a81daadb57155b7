"""The files of the report: table.md, results.json, settings.json, history.csv, figures, page and model card."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.report.comparison_tables import make_tables
from tiny_imagenet.report.results import SCORES, Result
from tiny_imagenet.report.seeds import repeated
from tiny_imagenet.report.tables import as_markdown


def as_json(results: Sequence[Result]) -> str:
    """Returns the results as strict JSON: a list of objects, one a model, accuracies as fractions.

    `over_seeds` is the group of the models that differ by the seed alone, null for a model without such.
    """
    groups = {result.model: group.as_row() for group in repeated(results) for result in group.results}
    objects = [
        {
            "model": result.model,
            "recipe": result.training.recipe,
            "dataset": result.training.dataset,
            "epochs": result.training.epochs,
            **{score.key: result.value(score) for score in SCORES},
            "num_parameters": result.training.num_parameters,
            "train_seconds": result.train_seconds,
            "train_flops": result.training.train_flops,
            "device": result.training.device,
            "seeds": [result.training.seed],
            "over_seeds": groups.get(result.model),
            "flip_averaging": result.training.flip_tta,
            "pretrained": result.training.pretrained,
            **({"debug": result.training.debug.model_dump()} if result.training.debug else {}),
            "published": result.published and result.published.model_dump(),
            "published_flops": result.published_flops,
        }
        for result in results
    ]
    return json.dumps(objects, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def settings_as_json(results: Sequence[Result]) -> str:
    """Returns the settings that each model was trained with, by its name: git keeps them beside the results."""
    keys = set(ModelSettings.model_fields)
    settings = {result.model: result.training.model_dump(mode="json", include=keys) for result in results}
    return json.dumps(settings, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(results: Sequence[Result]) -> str:
    """Returns every epoch of every model: the columns of history.csv, without those that no model has."""
    rows: list[dict[str, Any]] = [
        {"model": result.model, **row.model_dump(exclude_none=True)} for result in results for row in result.history
    ]
    text = io.StringIO()
    longest = max(rows, key=len)
    writer = csv.DictWriter(text, list(longest), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_outputs(
    folder: Path,
    results: Sequence[Result],
    texts: Mapping[str, str],
    svgs: Mapping[str, str],
    pngs: Mapping[str, bytes],
) -> None:
    """Writes the report: all files to a temporary folder first, then each file or subfolder by one rename.

    Args:
        folder: The folder of the files, of figures/ and of pictures/; other files in it stay.
        results: The models' results.
        texts: index.html and card.md, by file name.
        svgs: The figures without images, by name.
        pngs: The figures with images, by name.
    """
    tables = "\n".join(as_markdown(table) for table in make_tables(results))
    texts = {"table.md": tables, "results.json": as_json(results), "history.csv": as_csv(results), **texts}
    texts["settings.json"] = settings_as_json(results)
    files = {name: text.encode("utf-8") for name, text in texts.items()}
    files |= {f"figures/{name}.svg": svg.encode("utf-8") for name, svg in svgs.items()}
    files |= {f"pictures/{name}.png": png for name, png in pngs.items()}
    temporary = folder / ".new"
    shutil.rmtree(temporary, ignore_errors=True)
    for name, content in files.items():
        (temporary / name).parent.mkdir(parents=True, exist_ok=True)
        (temporary / name).write_bytes(content)
    for path in sorted(temporary.iterdir()):
        if path.is_dir():
            shutil.rmtree(folder / path.name, ignore_errors=True)
        path.replace(folder / path.name)
    temporary.rmdir()
