"""The style of the figures, and their files: equal figures give equal bytes (no pyplot, no state, no date)."""

from __future__ import annotations

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

# The page replaces these four by its own light and dark colors.
INK, MUTED, RULE, PAPER = "#1f2328", "#656d76", "#d1d9e0", "#ffffff"
COLORS = ("#3a7cc4", "#d9772b", "#2f9d78", "#b8538f", "#8a6fd1", "#a8862a", "#c8504b", "#4b97a8")

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a name may contain dollar signs
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "tiny-imagenet",
}

# The marker of published values.
DIAMOND: dict[str, Any] = {"marker": "D", "color": PAPER, "markeredgecolor": INK, "markersize": 5, "linestyle": ""}


@rc_context(STYLE)
def to_svg(figure: Figure) -> str:
    """Returns the figure as SVG; its texts stay text, and neither date nor program is in it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


@rc_context(STYLE)
def to_png(figure: Figure) -> bytes:
    """Returns the figure as PNG, 200 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()
