"""Plots trainings with one change beside the committed ones: python docs/reproduction/plot.py -> variants.svg.

variants.csv holds the histories (`metrics/MODEL/history.csv`) of the experiments in docs/reproduction.md; that of the
one that was stopped is from MLflow.
"""

import csv
import itertools
from pathlib import Path

import matplotlib
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
matplotlib.rcParams["svg.hashsalt"] = "reproduction"  # the same tables give the same file


def main() -> None:
    """Plots the top-1 accuracy on val by epoch, one panel per model."""
    variants, committed = read(HERE / "variants.csv"), read(ROOT / "reports" / "history.csv")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    models = list(dict.fromkeys(row["model"] for row in variants))
    colors = {changed: f"C{n}" for n, changed in enumerate(dict.fromkeys(row["changed"] for row in variants))}
    figure = Figure(figsize=(3.6 * len(models), 3.6), layout="constrained")
    for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        draw(axes, [row for row in committed if row["model"] == model], "as committed", "black")
        runs = [row for row in variants if row["model"] == model]
        for changed, rows in itertools.groupby(runs, lambda row: row["changed"]):
            draw(axes, list(rows), changed, colors[changed])
        published = params["published"]["tiny-imagenet-200"][model]["top_1_accuracy"]
        axes.axhline(100 * published, color="grey", linestyle="--", linewidth=1, label="published")
        axes.set(title=model, xlabel="epoch", ylabel="val top-1 accuracy, %", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="lower right")
    figure.savefig(HERE / "variants.svg", metadata={"Date": None})


def read(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a table of histories."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def draw(axes: Axes, rows: list[dict[str, str]], label: str, color: str) -> None:
    """Plots one training."""
    epochs = [int(row["epoch"]) for row in rows]
    axes.plot(epochs, [100 * float(row["val_top_1_accuracy"]) for row in rows], label=label, color=color, linewidth=1)


if __name__ == "__main__":
    main()
