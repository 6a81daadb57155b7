"""The figures of the results that show no image of the dataset."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from tiny_imagenet.report.comparison_tables import marks
from tiny_imagenet.report.cost import PUBLISHED, Point, draw_compute, draw_time
from tiny_imagenet.report.curves import draw_curves
from tiny_imagenet.report.diagrams import draw_architecture
from tiny_imagenet.report.figures import draw_accuracy, draw_calibration
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.seeds import group_by_seed
from tiny_imagenet.scoring.metrics import TOP_1, TOP_5


def draw_charts(results: Sequence[Result]) -> dict[str, Figure]:
    """Returns the figures by name.

    The names are accuracy, compute and time, and of each model curves-MODEL, calibration-MODEL and architecture-MODEL.
    """
    published = {result.model: result.published for result in results if result.published}
    curves = draw_curves({result.model: result.history for result in results}, published)
    return {
        "accuracy": draw_accuracy(results),
        **draw_costs(results),
        **{f"curves-{model}": figure for model, figure in curves.items()},
        **{f"calibration-{result.model}": draw_calibration(result) for result in results},
        **{f"architecture-{result.model}": draw_architecture(result.architecture) for result in results},
    }


def draw_costs(results: Sequence[Result]) -> dict[str, Figure]:
    """Draws accuracy over training compute (`compute`), with the published points, and over training time (`time`).

    Models that differ by the seed alone are points with one label, at the first. A published point has no label where
    the model's own point is straight above or below it. `time` has the models with a known time, and is left out if
    there is none.
    """
    labels = {}
    for group in group_by_seed(results):
        count = len(group.results)
        labels[group.name] = group.name + marks(group.results[0]) + (f" × {count}" if count > 1 else "")

    def point(result: Result, cost: float) -> Point:
        return Point(
            labels.get(result.model, ""), result.training.device, cost, result.value(TOP_1), result.value(TOP_5)
        )

    published = [point for result in results for point in _published_point(result)]
    best = {metric.key: max(getattr(each, metric.key) for each in published) for metric in (TOP_1, TOP_5) if published}
    compute = [point(result, result.training.train_flops) for result in results]
    time = [point(result, result.train_seconds) for result in results if result.train_seconds is not None]
    figures = {"compute": draw_compute([*compute, *published])}
    return figures | {"time": draw_time(time, best)} if time else figures


def _published_point(result: Result) -> list[Point]:
    """Returns the point of a model's published row, or nothing."""
    row, flops = result.published, result.published_flops
    if row is None or flops is None:
        return []
    label = "" if _is_close(flops, result.training.train_flops) else result.model
    return [Point(label, PUBLISHED, flops, row.top_1_accuracy, row.top_5_accuracy)]


def _is_close(first: float, second: float) -> bool:
    return abs(first - second) < 0.02 * first
