"""Figures of accuracy over the cost of training: compute, or time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator, FuncFormatter
from matplotlib.transforms import Bbox

from tiny_imagenet.report.style import COLORS, INK, MUTED, PAPER, STYLE

PANELS = (("top_1_accuracy", "top-1 accuracy, %"), ("top_5_accuracy", "top-5 accuracy, %"))
PUBLISHED = "published, at reckoned compute"
TIMES = {1.0: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36000: "10 h", 360000: "100 h"}
FINE_TIMES = {2.0: "2 s", 5: "5 s", 30: "30 s", 120: "2 min", 300: "5 min", 1800: "30 min", 7200: "2 h", 18000: "5 h"}
PREFIXES = {6: "M", 9: "G", 12: "T", 15: "P", 18: "E", 21: "Z"}
FLOPS, FINE_FLOPS = (
    {
        step * 10.0 ** (power + zeros): f"{step * 10**zeros} {prefix}"
        for power, prefix in PREFIXES.items()
        for zeros in range(3)
    }
    for step in (1, 3)
)
DISTANCES = (7, 13, 20)  # of a label from its point, in points, the nearest tried first
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1))
FINE_TICKS_RATIO = 1e3  # of highest to lowest cost, below which there are finer ticks


@dataclass(frozen=True)
class Point:
    """A model's accuracies and cost.

    Attributes:
        label: Its name; "" if another point has the label.
        kind: The device, or `PUBLISHED`.
        cost: FLOPs or seconds.
        top_1_accuracy: As a fraction.
        top_5_accuracy: As a fraction.
    """

    label: str
    kind: str
    cost: float
    top_1_accuracy: float
    top_5_accuracy: float


def draw_compute(points: Sequence[Point]) -> Figure:
    """Draws both accuracies over training FLOPs."""
    return _draw(points, "training compute, FLOP", FLOPS, FINE_FLOPS, {})


def draw_time(points: Sequence[Point], best_published: Mapping[str, float]) -> Figure:
    """Draws both accuracies over training time in seconds.

    Args:
        points: The models.
        best_published: The highest published value of each accuracy, a fraction, drawn as a dashed line; may be empty.
    """
    return _draw(points, "training time", TIMES, FINE_TIMES, best_published)


@rc_context(STYLE)
def _draw(
    points: Sequence[Point],
    x_label: str,
    ticks: Mapping[float, str],
    fine_ticks: Mapping[float, str],
    levels: Mapping[str, float],
) -> Figure:
    figure = Figure((4.8, 6.0))
    figure.set_layout_engine("none")
    kinds = list(dict.fromkeys(point.kind for point in points))
    for row, (metric, title) in enumerate(PANELS):
        axes = figure.add_axes((0.08, 0.53 - 0.46 * row, 0.9, 0.355))
        axes.set_title(title)
        axes.set_xscale("log")
        _set_ticks(axes, [point.cost for point in points], ticks, fine_ticks)
        for kind in kinds:
            _scatter(axes, [point for point in points if point.kind == kind], metric, kind, kinds.index(kind))
        if metric in levels:
            axes.axhline(100.0 * levels[metric], color=MUTED, linewidth=1, linestyle="--", label="best published")
        axes.set_ylim(0.0, 1.16 * axes.get_ylim()[1])
        _label(figure, axes, points, metric, levels.get(metric))
    figure.axes[-1].set_xlabel(x_label)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0.06, 1.0), ncols=2, borderaxespad=0.2)
    return figure


def _scatter(axes: Axes, points: Iterable[Point], metric: str, kind: str, index: int) -> None:
    x, y = zip(*((point.cost, 100.0 * getattr(point, metric)) for point in points), strict=True)
    if kind == PUBLISHED:
        axes.plot(x, y, "D", color=PAPER, markeredgecolor=INK, markersize=5, label=kind, clip_on=False)
    else:
        axes.plot(x, y, "o", color=COLORS[index % len(COLORS)], markersize=6, alpha=0.85, label=kind, clip_on=False)


def _set_ticks(axes: Axes, costs: Sequence[float], ticks: Mapping[float, str], fine_ticks: Mapping[float, str]) -> None:
    """Sets limits that leave space for the labels, and ticks at round values."""
    low, high = min(costs) / 2.2, max(costs) * 2.2
    names = {**ticks, **(fine_ticks if high / low < FINE_TICKS_RATIO else {})}
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in sorted(names) if low <= tick <= high]))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: names.get(value, "")))


def _label(figure: Figure, axes: Axes, points: Sequence[Point], metric: str, level: float | None) -> None:
    """Writes each label beside its point where it overlaps no point, label or line at `level`, the best first."""
    FigureCanvasAgg(figure)  # measures texts
    spots = [axes.transData.transform((point.cost, 100.0 * getattr(point, metric))) for point in points]
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in spots]
    if level is not None:
        height = axes.transData.transform((points[0].cost, 100.0 * level))[1]
        taken.append(Bbox.from_bounds(axes.bbox.x0, height - 1, axes.bbox.width, 2))
    for point in sorted(points, key=lambda point: -getattr(point, metric)):
        if not point.label:
            continue
        tried: list[tuple[float, int, tuple[int, int], Bbox]] = []
        for distance, (side, height) in product(DISTANCES, DIRECTIONS):
            text = _write(axes, point, metric, (distance * side, distance * height))
            box = text.get_window_extent()
            text.remove()
            hidden = sum(_overlap(box, other) for other in taken) + box.width * box.height - _overlap(box, axes.bbox)
            tried.append((round(hidden, 3), len(tried), (distance * side, distance * height), box))
        _, number, offset, box = min(tried, key=lambda each: each[:2])
        _write(axes, point, metric, offset, line=number >= len(DIRECTIONS))
        taken.append(box.padded(3))


def _write(axes: Axes, point: Point, metric: str, offset: tuple[int, int], *, line: bool = False) -> Annotation:
    """Writes a point's label at an offset (right, up) in points, with a line to it if `line`."""
    right, up = offset
    thin = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
    return axes.annotate(
        point.label,
        (point.cost, 100.0 * getattr(point, metric)),
        offset,
        textcoords="offset points",
        ha=("left" if right > 0 else "right") if right else "center",
        va=("bottom" if up > 0 else "top") if up else "center",
        fontsize=8,
        color=MUTED if point.kind == PUBLISHED else INK,
        arrowprops=thin if line else None,
    )


def _overlap(first: Bbox, second: Bbox) -> float:
    """Returns the area that two boxes share."""
    both = Bbox.intersection(first, second)
    return both.width * both.height if both else 0.0
