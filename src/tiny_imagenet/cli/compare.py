"""The command `tiny-imagenet compare`: the differences between two evaluated models."""

from __future__ import annotations

import argparse
import dataclasses
import json

from tiny_imagenet.cli.comparison import ClassChange, Comparison, compare
from tiny_imagenet.cli.evaluated_models import find_evaluated_model
from tiny_imagenet.cli.trained_models import add_root_argument
from tiny_imagenet.evaluation.metrics import METRICS
from tiny_imagenet.report.formats import signed
from tiny_imagenet.report.tables import align
from tiny_imagenet.scoring.metrics import TOP_1

HELP = "compare two models that were evaluated on the same images: parameters, metrics and classes"
EPILOG = (
    "The last line says whether B is better or worse than A by more than noise. The test is about these two models and "
    "other images of the same kind. Another seed is another model: to compare recipes, train each with several seeds."
)
SHOWN = 5  # classes that gained, and that lost
FRACTIONS = {metric.key for metric in METRICS if metric.is_fraction}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    text = "a model of the checkout (vgg), REVISION:MODEL (HEAD~1:vgg, an experiment's name:vgg), or an MLflow run's id"
    parser.add_argument("a", metavar="A", help=text)
    parser.add_argument("b", metavar="B", help="the model to compare with A, named in the same way")
    parser.add_argument("--json", action="store_true", help="print the whole comparison as JSON, with all classes")
    add_root_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the comparison of two models; returns 0."""
    a, b = (find_evaluated_model(arguments.root, name) for name in (arguments.a, arguments.b))
    comparison = compare(a, b)
    print(_as_json(comparison) if arguments.json else _as_text(comparison))
    return 0


def verdict(comparison: Comparison) -> str:
    """Returns a sentence on the significance of the difference; of a debug run, that there is none to judge."""
    if comparison.debug_runs:
        runs = ", ".join(f"{name} ({limits})" for name, limits in comparison.debug_runs.items())
        return f"Not comparable: debug run {runs}. Its accuracy says nothing about its settings."
    a, b = comparison.metrics[TOP_1.key]
    error = comparison.standard_errors[TOP_1.key]
    p_value = f"p = {comparison.p_value:.2g}" if comparison.p_value >= 1e-4 else "p < 0.0001"
    judgment = (
        f"B is {'better' if b > a else 'worse'} than A by more than"
        if comparison.is_significant
        else "The difference is no more than"
    )
    images = f"the same {comparison.num_images:,} {comparison.split} images"
    discordant = f"{comparison.only_second:,} only B has right, {comparison.only_first:,} only A"
    difference = f"{_difference(100 * (b - a), '.2f')} ± {100 * error:.2f} points of top-1 accuracy"
    return f"{judgment} noise: {difference} on {images}; {discordant} (McNemar's exact test: {p_value})."


def _as_json(comparison: Comparison) -> str:
    content = dataclasses.asdict(comparison)
    content |= {"is_significant": comparison.is_significant, "verdict": verdict(comparison)}
    return json.dumps(content, indent=2, allow_nan=False)


def _as_text(comparison: Comparison) -> str:
    metrics = [_metric(comparison, key) for key in comparison.metrics]
    parameters = [(key, _text(a), _text(b)) for key, (a, b) in comparison.parameters.items()]
    gained = [each for each in comparison.classes if each.gain > 0][:SHOWN]
    lost = [each for each in reversed(comparison.classes) if each.gain < 0][:SHOWN]
    parts = [
        f"A: {comparison.first}\nB: {comparison.second}",
        align([("", "A", "B", "B - A"), *metrics], "lrrl"),
        align([("parameter", "A", "B"), *parameters]) if parameters else "No parameter differs.",
    ]
    for verb, changes in (("gained", gained), ("lost", lost)):
        lines = [_class_line(comparison, change) for change in changes]
        parts.append("\n".join([f"classes that {verb} most", *lines]) if lines else f"No class {verb}.")
    if any(comparison.is_clear(change) for change in gained + lost):
        parts.append(f"* more than noise, even as one of {len(comparison.classes)} classes looked at")
    return "\n\n".join([*parts, verdict(comparison)])


def _metric(comparison: Comparison, key: str) -> tuple[str, str, str, str]:
    """Returns a metric's cells; a fraction becomes percent."""
    factor, unit = (100, " %") if key in FRACTIONS else (1, "")
    a, b = (factor * value for value in comparison.metrics[key])
    form = ".2f" if unit else "," if isinstance(a, int) and max(a, b) < 1e9 else ".3f" if max(a, b) < 1000 else ".4g"
    errors = comparison.standard_errors
    error = f" ± {factor * errors[key]:.2f}" if key in errors else ""
    return key + unit, format(a, form), format(b, form), _difference(b - a, form) + error


def _difference(value: float, form: str) -> str:
    """Returns a number with its sign, zero without."""
    return signed(value, form) if value else format(value, form)


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _class_line(comparison: Comparison, change: ClassChange) -> str:
    gain, mark = _difference(change.gain, ""), " *" if comparison.is_clear(change) else ""
    return f"  {gain:>4}  {change.name}: {change.first} to {change.second} of {change.num_images}{mark}"
