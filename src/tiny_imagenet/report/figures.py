"""Accuracies as bars, calibration, and images with what is said of them, as matplotlib figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tiny_imagenet.report.style import COLOURS, DIAMOND, INK, MUTED, STYLE

HERE, THERE = 30, 80  # where the columns of figures beside the bars end, in typographic points


@rc_context(STYLE)
def draw_accuracy(
    evaluations: Mapping[str, Mapping[str, float]], published: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Draws the accuracies of all models as bars with one standard error, the published ones as diamonds.

    Args:
        evaluations: For each model `top_1_accuracy`, `top_5_accuracy` (fractions) and their `..._error`.
        published: For some models `top_1_accuracy` and `top_5_accuracy`.
    """
    figure = Figure((4.8, 0.9 + 0.42 * len(evaluations)), layout="constrained")
    axes = figure.subplots()
    for row, (name, evaluation) in enumerate(evaluations.items()):
        for metric, y, colour in (
            ("top_1_accuracy", row - 0.19, COLOURS[0]),
            ("top_5_accuracy", row + 0.19, COLOURS[1]),
        ):
            value, error = 100.0 * evaluation[metric], 100.0 * evaluation[metric + "_error"]
            label = metric[:5].replace("_", "-") if row == 0 else None
            axes.barh(y, value, 0.34, xerr=error, color=colour, ecolor=INK, alpha=0.75, label=label)
            _beside(axes, HERE, y, f"{value:.1f}", INK)
            if name in published:
                axes.plot(100.0 * published[name][metric], y, **DIAMOND)
                _beside(axes, THERE, y, f"{100.0 * published[name][metric]:.1f}", MUTED)
    if published:
        axes.plot([], [], label="published", **DIAMOND)
        _beside(axes, THERE, -0.62, "published", MUTED)
        _beside(axes, HERE, -0.62, "here", MUTED)
    axes.set_yticks(range(len(evaluations)), list(evaluations), color=INK)
    axes.set_ylim(len(evaluations) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("accuracy on the val images, %")
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def _beside(axes: Axes, right: int, y: float, text: str, colour: str) -> None:
    """Writes to the right of the axes, so many typographic points from them; y in their data's units."""
    axes.annotate(
        text,
        (1.0, y),
        (right, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        annotation_clip=False,
        color=colour,
        ha="right",
        va="center",
        fontsize=8,
    )


@rc_context(STYLE)
def draw_calibration(name: str, bins: Sequence[Mapping[str, Any]], error: float) -> Figure:
    """Draws the accuracy reached at each confidence; the area of a dot is its share of the images.

    Args:
        name: Of the model.
        bins: Its rows of calibration.csv; those without images are left out.
        error: Its expected calibration error, 0 to 1.
    """
    figure = Figure((2.3, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle="--")
    filled = [row for row in bins if row["num_images"]]
    total = sum(row["num_images"] for row in filled)
    confidence = [100.0 * row["confidence"] for row in filled]
    accuracy = [100.0 * row["accuracy"] for row in filled]
    axes.plot(confidence, accuracy, color=COLOURS[0], linewidth=1.2)
    areas = [4.0 + 160.0 * row["num_images"] / total for row in filled]
    axes.scatter(confidence, accuracy, areas, color=COLOURS[0], alpha=0.55, linewidths=0)
    axes.set(xlim=(-3, 103), ylim=(-3, 103), aspect="equal", xticks=range(0, 101, 25), yticks=range(0, 101, 25))
    axes.set_xlabel("confidence, %")
    axes.set_ylabel("accuracy, %")
    axes.set_title(f"{name}: {100.0 * error:.1f}")
    return figure


@rc_context(STYLE)
def draw_example(image: np.ndarray, actual: str, guesses: Sequence[tuple[str, float]]) -> Figure:
    """Draws an image (height, width, 3), uint8, over its guesses: pairs of a name and a probability, best first."""
    width, bar = 2.5, 0.24  # inches
    height = 0.3 + width + 0.08 + bar * len(guesses)
    figure = Figure((width, height))
    top = figure.add_axes((0, 1 - (0.3 + width) / height, 1, width / height))
    bottom = figure.add_axes((0, 0, 1, bar * len(guesses) / height))
    _show(top, image)
    top.set_title(actual)
    for row, (name, probability) in enumerate(guesses):
        colour = COLOURS[2] if name == actual else MUTED
        bottom.barh(row, probability, 0.84, color=colour, alpha=0.35)
        bottom.text(0.02, row, name, va="center_baseline")
        bottom.text(0.98, row, f"{100.0 * probability:.0f} %", va="center_baseline", ha="right", color=MUTED)
    bottom.set(xlim=(0, 1), ylim=(len(guesses) - 0.5, -0.5))
    bottom.set_axis_off()
    return figure


@rc_context(STYLE)
def draw_augmentation(images: np.ndarray) -> Figure:
    """Draws originals and their random variants (the report's Figure 1).

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
