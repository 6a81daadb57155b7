"""A confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from tiny_imagenet.report.mistakes import confusion
from tiny_imagenet.report.style import STYLE, to_png

READABLE = 20  # classes whose names have room beside the axes


@rc_context(STYLE)
def confusion_png(title: str, labels: np.ndarray, guesses: np.ndarray, names: Sequence[str]) -> bytes:
    """Returns a PNG of how the images of each class are shared out among the guesses.

    Args:
        title: Above it.
        labels: Of the images, (N,).
        guesses: Each image's likeliest class, (N,).
        names: Of the classes; many are numbered instead.
    """
    counts = confusion({"label": labels, "top_5": guesses[:, np.newaxis]}, len(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.add_subplot()
    # The square root: of 200 classes, each is mistaken for many others, a few images each.
    shown = axes.imshow(shares, cmap="viridis", norm=PowerNorm(0.5, 0.0, 1.0), interpolation="nearest")
    axes.set(title=title, xlabel="predicted", ylabel="actual")
    axes.grid(visible=False)
    if len(names) <= READABLE:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
    figure.colorbar(shown, label="share of the class's images")
    return to_png(figure)
