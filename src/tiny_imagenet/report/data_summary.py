"""The data report as tables and sentences: splits, repeated images, and classes by their names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import Class, short_names
from tiny_imagenet.report.formats import NONE
from tiny_imagenet.report.tables import Number, Table

KEYS = (
    *("splits", "train_mean", "train_std", "identical_files", "identical_pixels_of_different_files"),
    *("classes_without_words", "classes_of_equal_words", "classes_of_equal_first_word"),
)
REPEATS = (("identical_files", "the same file"), ("identical_pixels_of_different_files", "the same pixels"))


def load_data_report(path: Path) -> dict[str, Any]:
    """Reads data.json, the report of the stage preprocess.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({error})", "run `dvc repro`") from None
    if not isinstance(content, dict):
        raise InputError(path, "is not a JSON object", "run `dvc repro`")
    if lacking := [key for key in KEYS if key not in content]:
        raise InputError(path, f"lacks {lacking[0]!r}", "run `dvc repro`")
    return content


@dataclass(frozen=True)
class DataSummary:
    """A data report for the page and the model card.

    Attributes:
        splits: A row per split.
        repeats: A row per kind of repetition and place.
        remarks: Sentences.
        lists: Pairs of a heading and its entries.
        mean: Of the train pixels by channel, in fractions of the full range.
        std: Their standard deviation.
    """

    splits: Table
    repeats: Table
    remarks: list[str]
    lists: list[tuple[str, list[str]]]
    mean: list[float]
    std: list[float]


def summarize_data(report: Mapping[str, Any], classes: Sequence[Class]) -> DataSummary:
    """Summarizes a data report.

    Args:
        report: The content of data.json.
        classes: Of the dataset.
    """
    names = dict(zip((each.wnid for each in classes), short_names(classes), strict=True))
    return DataSummary(
        splits=_splits(report["splits"]),
        repeats=_repeats(report),
        remarks=_remarks(report, names),
        lists=[(heading, [_with_names(item, names) for item in items]) for heading, items in _lists(report) if items],
        mean=report["train_mean"],
        std=report["train_std"],
    )


def _splits(splits: Mapping[str, Mapping[str, Any]]) -> Table:
    headers = ["split", "images", "images a class", "bytes a file", "total"]
    headers += ["grey files", "grey in colour", "one colour"]
    rows = []
    for name, split in splits.items():
        size, per_class = split["jpeg_bytes"], split.get("images_per_class")
        counts = (split["greyscale_files"], split["colour_files_without_colour"], split["single_colour"]["count"])
        rows.append(
            [
                name,
                _count(split["num_images"]),
                _range(per_class["min"], per_class["max"]) if per_class else NONE,
                Number(f"{size['mean']:,.0f} ({_range(size['min'], size['max'])})", size["mean"]),
                Number(f"{size['total'] / 1e6:,.1f} MB", size["total"]),
                *map(_count, counts),
            ]
        )
    return Table(headers, rows, notes=[])


def _repeats(report: Mapping[str, Any]) -> Table:
    rows = []
    for key, kind in REPEATS:
        for where, found in report[key].items():
            if found["contents"]:
                counts = ", ".join(f"{number:,} {split}" for split, number in found["images"].items())
                several = _count(found["contents_of_several_classes"])
                rows.append([f"{kind}, {_place(where)}", _count(found["contents"]), several, counts])
    return Table(["what is repeated", "contents", "with several classes", "images"], rows, notes=[])


def _remarks(report: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    remarks = []
    for name, split in report["splits"].items():
        grey = split.get("greyscale_files_per_class", {})
        if grey.get("max"):
            most = names.get(grey["class"], grey["class"])
            remarks.append(f"Of the {name} classes {most} has the most grey files, {grey['max']:,}.")
    leak = report["identical_files"].get("train_and_val", {})
    if wrong := leak.get("contents_of_several_classes"):
        remarks.append(
            f"{wrong:,} val images are also in train with a different label: memorizing them lowers val accuracy."
        )
    if not any(found["contents"] for key, _ in REPEATS for found in report[key].values()):
        remarks.append("No image occurs twice.")
    return remarks


def _lists(report: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    lists = [
        (f"{kind}, {_place(where)}", found["first"]) for key, kind in REPEATS for where, found in report[key].items()
    ]
    for name, split in report["splits"].items():
        unusual = split.get("images_per_class", {}).get("unusual", {"first": []})
        lists.append((f"{name} classes with another number of images", unusual["first"]))
        lists.append((f"{name} images of one colour", split["single_colour"]["first"]))
    return [
        *lists,
        ("classes without words", report["classes_without_words"]),
        ("classes of equal words", report["classes_of_equal_words"]),
        ("classes of equal first word", report["classes_of_equal_first_word"]),
    ]


def _with_names(text: str, names: Mapping[str, str]) -> str:
    """Returns a text with the name of the class after each wnid, or path that contains one."""

    def name(token: re.Match[str]) -> str:
        found = [names[part] for part in token[0].split("/") if part in names]
        return f"{token[0]} ({found[0]})" if found else token[0]

    return re.sub(r"[^\s=:,]+", name, text)


def _place(where: str) -> str:
    first, _, second = where.partition("_and_")
    return f"in {first} and {second}" if second else f"within {first}"


def _count(number: int) -> Number:
    return Number(f"{number:,}", number)


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
