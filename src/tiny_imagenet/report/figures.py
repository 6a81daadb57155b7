"""Accuracies as bars, calibration, images with their guesses, and augmented images, as matplotlib figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tiny_imagenet.evaluation.metrics import ECE
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.style import COLORS, DIAMOND, INK, MUTED, STYLE
from tiny_imagenet.scoring.metrics import TOP_1, TOP_5

HERE, THERE = 30, 80  # right ends of the columns of numbers beside the bars, in points


@rc_context(STYLE)
def draw_accuracy(results: Sequence[Result]) -> Figure:
    """Draws the accuracies of all models as bars with one standard error, the published ones as diamonds."""
    figure = Figure((4.8, 0.9 + 0.42 * len(results)), layout="constrained")
    axes = figure.subplots()
    for row, result in enumerate(results):
        for metric, y, color in ((TOP_1, row - 0.19, COLORS[0]), (TOP_5, row + 0.19, COLORS[1])):
            value, error = 100.0 * result.value(metric), 100.0 * result.standard_error(metric)
            label = metric.label if row == 0 else None
            axes.barh(y, value, 0.34, xerr=error, color=color, ecolor=INK, alpha=0.75, label=label)
            _beside(axes, HERE, y, f"{value:.1f}", INK)
            if (published := result.published_value(metric)) is not None:
                axes.plot(100.0 * published, y, **DIAMOND)
                _beside(axes, THERE, y, f"{100.0 * published:.1f}", MUTED)
    if any(result.published for result in results):
        axes.plot([], [], label="published", **DIAMOND)
        _beside(axes, THERE, -0.62, "published", MUTED)
        _beside(axes, HERE, -0.62, "here", MUTED)
    axes.set_yticks(range(len(results)), [result.model for result in results], color=INK)
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("accuracy on the val images, %")
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def _beside(axes: Axes, right: int, y: float, text: str, color: str) -> None:
    """Writes a text that ends `right` points to the right of the axes, at y in data units."""
    axes.annotate(
        text,
        (1.0, y),
        (right, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        annotation_clip=False,
        color=color,
        ha="right",
        va="center",
        fontsize=8,
    )


@rc_context(STYLE)
def draw_calibration(result: Result) -> Figure:
    """Draws the accuracy by confidence; the area of a dot is the bin's fraction of the images, empty bins have none."""
    figure = Figure((2.3, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle="--")
    bins = [
        (row.num_images, 100.0 * row.confidence, 100.0 * row.accuracy)
        for row in result.calibration
        if row.confidence is not None and row.accuracy is not None
    ]
    counts, confidence, accuracy = zip(*bins, strict=True)
    axes.plot(confidence, accuracy, color=COLORS[0], linewidth=1.2)
    areas = [4.0 + 160.0 * count / sum(counts) for count in counts]
    axes.scatter(confidence, accuracy, areas, color=COLORS[0], alpha=0.55, linewidths=0)
    axes.set(xlim=(-3, 103), ylim=(-3, 103), aspect="equal", xticks=range(0, 101, 25), yticks=range(0, 101, 25))
    axes.set_xlabel("confidence, %")
    axes.set_ylabel("accuracy, %")
    axes.set_title(f"{result.model}: {100.0 * result.value(ECE):.1f}")
    return figure


@rc_context(STYLE)
def draw_example(image: np.ndarray, actual: str, guesses: Sequence[tuple[str, float]]) -> Figure:
    """Draws an image over its guesses.

    Args:
        image: uint8 (height, width, 3).
        actual: The name of its class.
        guesses: Pairs of a name and a probability, best first.
    """
    width, bar = 2.5, 0.24  # inches
    height = 0.3 + width + 0.08 + bar * len(guesses)
    figure = Figure((width, height))
    top = figure.add_axes((0, 1 - (0.3 + width) / height, 1, width / height))
    bottom = figure.add_axes((0, 0, 1, bar * len(guesses) / height))
    _show(top, image)
    top.set_title(actual)
    for row, (name, probability) in enumerate(guesses):
        color = COLORS[2] if name == actual else MUTED
        bottom.barh(row, probability, 0.84, color=color, alpha=0.35)
        bottom.text(0.02, row, name, va="center_baseline")
        bottom.text(0.98, row, f"{100.0 * probability:.0f} %", va="center_baseline", ha="right", color=MUTED)
    bottom.set(xlim=(0, 1), ylim=(len(guesses) - 0.5, -0.5))
    bottom.set_axis_off()
    return figure


@rc_context(STYLE)
def draw_augmentation(images: np.ndarray) -> Figure:
    """Draws originals and their random variants (Figure 1 of the published report).

    Args:
        images: uint8 (rows, columns, height, width, 3); the first column holds the originals.
    """
    num_rows, num_columns = images.shape[:2]
    figure = Figure((0.95 * num_columns, 0.95 * num_rows + 0.25), layout="constrained")
    grid = figure.subplots(num_rows, num_columns, squeeze=False)
    for axes, image in zip(grid.flat, images.reshape(-1, *images.shape[2:]), strict=True):
        _show(axes, image)
    grid[0, 0].set_title("original", fontsize=9)
    if num_columns > 1:
        grid[0, 1].set_title("as training sees it", fontsize=9)
    return figure


def _show(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, interpolation="none")
    axes.set_axis_off()
