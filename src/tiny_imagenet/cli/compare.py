"""The command `tiny-imagenet compare`: the differences between two models."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence

from tiny_imagenet.cli.comparison import ClassChange, Comparison, compare
from tiny_imagenet.cli.evaluated_models import find_scored
from tiny_imagenet.cli.trained_models import add_root_argument
from tiny_imagenet.report.results import FRACTIONS

HELP = "compare two models that were evaluated on the same images: parameters, metrics, classes, significance"
EPILOG = (
    "The test is about these two models and other images of the kind. Another seed is another model: "
    "to compare recipes, train each with several."
)
SHOWN = 5  # classes that gained, and that lost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    text = "a model of the checkout (vgg), REVISION:MODEL (HEAD~1:vgg, an experiment's name:vgg), or an MLflow run's id"
    parser.add_argument("a", metavar="A", help=text)
    parser.add_argument("b", metavar="B", help="the other model, named in the same way")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON, every class too")
    add_root_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compares the two models that the arguments name."""
    found = compare(*(find_scored(arguments.root, name) for name in (arguments.a, arguments.b)))
    print(_as_json(found) if arguments.json else _as_text(found))
    return 0


def _as_json(found: Comparison) -> str:
    content = dataclasses.asdict(found) | {"is_significant": found.is_significant, "verdict": verdict(found)}
    return json.dumps(content, indent=2, allow_nan=False)


def _as_text(found: Comparison) -> str:
    metrics = [("", "A", "B", "B - A"), *(_metric(found, key) for key in found.metrics)]
    parameters = [(key, _shown(a), _shown(b), "") for key, (a, b) in found.parameters.items()]
    gained = [each for each in found.classes if each.gain > 0][:SHOWN]
    lost = [each for each in reversed(found.classes) if each.gain < 0][:SHOWN]
    parts = [
        f"A: {found.first}\nB: {found.second}",
        _aligned(metrics),
        _aligned([("parameter", "A", "B", ""), *parameters]) if parameters else "No parameter differs.",
    ]
    for verb, changes in (("gained", gained), ("lost", lost)):
        lines = [_class_line(found, change) for change in changes]
        parts.append("\n".join([f"classes that {verb} most", *lines]) if lines else f"No class {verb}.")
    if any(found.is_clear(change) for change in gained + lost):
        parts.append(f"* more than noise, even as one of {len(found.classes)} classes looked at")
    return "\n\n".join([*parts, verdict(found)])


def verdict(found: Comparison) -> str:
    """Returns in a sentence whether the models differ by more than noise."""
    a, b = found.metrics["top_1_accuracy"]
    error = found.standard_errors["top_1_accuracy"]
    chance = f"p = {found.p_value:.2g}" if found.p_value >= 1e-4 else "p < 0.0001"
    judged = (
        f"B is {'better' if b > a else 'worse'} than A by more than"
        if found.is_significant
        else "The difference is no more than"
    )
    images = f"the same {found.num_images:,} {found.split} images"
    alone = f"{found.only_second:,} only B has right, {found.only_first:,} only A"
    points = f"{_signed(100 * (b - a), '.2f')} ± {100 * error:.2f} points of top-1 accuracy"
    return f"{judged} noise: {points} on {images}; {alone} (McNemar's exact test: {chance})."


def _metric(found: Comparison, key: str) -> tuple[str, str, str, str]:
    """Returns a metric's cells; a fraction becomes percent."""
    factor, unit = (100, " %") if key.endswith(FRACTIONS) else (1, "")
    a, b = (factor * value for value in found.metrics[key])
    form = ".2f" if unit else "," if isinstance(a, int) and max(a, b) < 1e9 else ".3f" if max(a, b) < 1000 else ".4g"
    error = f" ± {factor * found.standard_errors[key]:.2f}" if key in found.standard_errors else ""
    return key + unit, format(a, form), format(b, form), _signed(b - a, form) + error


def _signed(value: float, form: str) -> str:
    return ("+" if value > 0 else "−" if value < 0 else "") + format(abs(value), form)


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def _class_line(found: Comparison, change: ClassChange) -> str:
    gain, mark = _signed(change.gain, ""), " *" if found.is_clear(change) else ""
    return f"  {gain:>4}  {change.name}: {change.first} to {change.second} of {change.num_images}{mark}"


def _aligned(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Returns rows in columns: the first to the left, two to the right, the last to the left."""
    one, two, three = (max(len(row[at]) for row in rows) for at in range(3))
    lines = [f"{key:{one}}  {a:>{two}}  {b:>{three}}  {rest}" for key, a, b, rest in rows]
    return "\n".join(line.rstrip() for line in lines)
