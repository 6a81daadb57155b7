"""The results as a plot: how many times better ours is than each peer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.results import Row

OURS, GOAL = "#2a6f97", "#c1121f"


def draw(path: Path, rows: Sequence[Row]) -> None:
    """Draws one bar per peer, grouped by row, on a logarithmic scale, with a mark at its goal."""
    bars = [(row.row, name, peer) for row in rows for name, peer in row.peers.items() if peer["ratio"]]
    if not bars:
        return
    figure = Figure(figsize=(9, 1.1 + 0.3 * len(bars)), layout="constrained")
    axes = figure.subplots()
    for place, (_, _, peer) in enumerate(bars):
        axes.barh(place, peer["ratio"] - 1, left=1, height=0.7, color=OURS)
        at = max(peer["ratio"], peer.get("goal", 0), 1)
        axes.annotate(f"{peer['ratio']:.3g}", (at, place), (5, 0), textcoords="offset points", va="center", fontsize=8)
        if "goal" in peer:
            axes.plot([peer["goal"]] * 2, [place - 0.42, place + 0.42], color=GOAL, linewidth=2)
    axes.plot([], [], color=GOAL, label="goal")
    axes.set_yticks(range(len(bars)), [f"{row}:  {name}" for row, name, _ in bars], fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.01)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.invert_yaxis()
    axes.set_xlabel("how many times better ours is than the peer, median of paired rounds (1: equal)")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
