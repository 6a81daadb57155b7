"""Draws a sweep: python docs/sweeps/plot.py docs/sweeps/minutes-lr.csv -> minutes-lr.svg beside it."""

import csv
import math
import sys
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

matplotlib.rcParams["svg.hashsalt"] = "sweep"  # the same table gives the same file


def main(path: Path) -> None:
    """Draws both accuracies over the learning rate, each with two standard errors."""
    with path.open(newline="") as file:
        rows = [{key: float(row[key]) for key in row if key != "experiment"} for row in csv.DictReader(file)]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, metric, name in zip(
        figure.subplots(1, 2), ("top_1_accuracy", "top_5_accuracy"), ("top-1", "top-5"), strict=True
    ):
        values = [row[metric] for row in rows]
        errors = [2 * math.sqrt(row[metric] * (1 - row[metric]) / row["num_images"]) for row in rows]
        lr = [row["lr"] for row in rows]
        axes.errorbar(lr, [100 * v for v in values], [100 * e for e in errors], marker="o", capsize=3, color="#1f77b4")
        axes.set_xscale("log", base=2)
        axes.set_xticks(lr, [f"{each:g}" for each in lr])
        axes.set(xlabel="learning rate", ylabel=f"{name} accuracy, % of the hold-out")
        axes.grid(alpha=0.3)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
