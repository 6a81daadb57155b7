"""Block diagrams of the architectures, as matplotlib figures."""

from __future__ import annotations

import re
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from tiny_imagenet.report.blocks import Box, fold_layers
from tiny_imagenet.report.results import Architecture
from tiny_imagenet.report.style import COLORS, INK, MUTED, STYLE

# Inches.
WIDTH, BOX, HEIGHT, GAP, SHAPE_AT, COUNT_AT = 4.6, 2.5, 0.29, 0.17, 3.62, 4.57
SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@rc_context(STYLE)
def draw_architecture(architecture: Architecture) -> Figure:
    """Draws an architecture from top to bottom: a box per layer or block, beside it output shape and parameters."""
    layers = fold_layers(architecture.layers)
    image = Box("image", "image", "", architecture.input_shape, 0)
    height = (len(layers) + 1) * (HEIGHT + GAP) + 0.62
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(SHAPE_AT, 0.16, "output", color=MUTED, ha="right", va="center", fontsize=8)
    axes.text(COUNT_AT, 0.16, "parameters", color=MUTED, ha="right", va="center", fontsize=8)
    for row, layer in enumerate([image, *layers]):
        _layer(axes, 0.32 + row * (HEIGHT + GAP), layer, arrow=row > 0)
    total = f"{short(architecture.num_parameters)} parameters, {short(architecture.macs_per_image)} MACs an image"
    axes.text(0.06, height - 0.16, total, va="center", fontweight="bold")
    return figure


def _layer(axes: Axes, top: float, layer: Box, *, arrow: bool) -> None:
    middle = top + HEIGHT / 2
    color = _color(layer.type)
    box = FancyBboxPatch(
        (0.06, top), BOX, HEIGHT, boxstyle="round,pad=0,rounding_size=0.05", facecolor=(color, 0.16), edgecolor=color
    )
    axes.add_patch(box)
    if arrow:
        style = {"arrowstyle": "-|>,head_length=0.28,head_width=0.14", "color": MUTED, "linewidth": 0.8, "shrinkA": 0}
        axes.annotate("", (0.06 + BOX / 2, top), (0.06 + BOX / 2, top - GAP), arrowprops=style | {"shrinkB": 0.5})
    kind = layer.type if layer.repeats == 1 else f"{layer.repeats} × {layer.type}"
    axes.text(0.15, middle, kind, va="center_baseline", fontweight="bold", fontsize=8.5)
    details = re.sub(r"(?<=\d)( ?)x( ?)(?=\d)", r"\1×\2", layer.details)
    axes.text(BOX - 0.02, middle, details, va="center_baseline", ha="right", fontsize=8)
    axes.text(SHAPE_AT, middle, shape(layer.output_shape), va="center_baseline", ha="right", fontsize=8.5)
    if layer.num_parameters:
        text = f"{layer.num_parameters:,}"
        axes.text(COUNT_AT, middle, text, va="center_baseline", ha="right", fontsize=8.5, color=INK)


def _color(kind: str) -> str:
    if "Conv" in kind or kind == "Residual":
        return COLORS[0]
    if "Pool" in kind:
        return COLORS[1]
    return COLORS[2] if kind == "Dense" else MUTED


def shape(sizes: Sequence[int | None]) -> str:
    """Returns a shape as text: 62 × 62 × 32; "?" for a size that is not fixed."""
    return " × ".join("?" if size is None else f"{size:,}" for size in sizes)


def short(number: float) -> str:
    """Returns a count with three significant digits: 2.46 M."""
    for unit, suffix in SUFFIXES:
        if number >= unit:
            return f"{number / unit:.3g} {suffix}"
    return f"{number:.3g}"
