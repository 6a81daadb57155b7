"""A confusion matrix as a PNG image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "text.parse_math": False,
    "font.size": 9,
}
MAX_NAMED = 20  # largest number of classes whose names are shown on the axes


@rc_context(STYLE)
def confusion_png(title: str, counts: np.ndarray, names: Sequence[str]) -> bytes:
    """Returns a PNG of a confusion matrix, each row as fractions of the images of its class.

    Args:
        title: The title of the image.
        counts: Images by actual class (row) and predicted class (column), int (classes, classes).
        names: The names of the classes.
    """
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.add_subplot()
    # The square root makes small fractions visible: with 200 classes, errors spread over many of them.
    shown = axes.imshow(fractions, cmap="viridis", norm=PowerNorm(0.5, 0.0, 1.0), interpolation="nearest")
    axes.set(title=title, xlabel="predicted", ylabel="actual")
    if len(names) <= MAX_NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
    figure.colorbar(shown, label="fraction of the class's images")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()
