"""Training curves (Figures 6 and 7 of the published report)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tiny_imagenet.report.results import Epoch, PublishedRow
from tiny_imagenet.report.style import COLORS, DIAMOND, MUTED, STYLE

History = Sequence[Epoch]


@rc_context(STYLE)
def draw_curves(histories: Mapping[str, History], published: Mapping[str, PublishedRow]) -> dict[str, Figure]:
    """Draws top-1 accuracy and objective by epoch, one figure per model; all figures share their scales.

    Args:
        histories: By model.
        published: By model, for some of them: final values are dashed lines, `curve` is drawn as diamonds.
    """
    figures = {}
    accuracy_axes, objective_axes = [], []
    for name, history in histories.items():
        figures[name] = Figure((3.4, 4.6), layout="constrained")
        top, bottom = figures[name].subplots(2, 1, sharex=True)
        reference = published.get(name)
        _curve(top, history, "top_1_accuracy", 100.0, reference.top_1_accuracy if reference else None)
        _curve(bottom, history, "objective", 1.0, reference.loss if reference else None)
        if reference and reference.curve:
            epochs = sorted(reference.curve)
            top.plot(epochs, [100.0 * reference.curve[epoch] for epoch in epochs], label="published plot", **DIAMOND)
            top.set_xticks([history[-1].epoch, *epochs])
        if any(row.val_loss != row.val_objective for row in history):
            epochs, losses = [row.epoch for row in history], [row.val_loss for row in history]
            style = {"linestyle": ":", "linewidth": 1.2, "marker": "." if len(history) == 1 else ""}
            bottom.plot(epochs, losses, color=COLORS[1], label="val, no L2 term", **style)
        top.set_title("top-1 accuracy, %")
        bottom.set_title("loss with the L2 term")
        bottom.set_xlabel("epoch")
        labels = {line.get_label(): line for axes in (top, bottom) for line in axes.lines}
        figures[name].legend(labels.values(), labels.keys(), loc="outside lower left", ncols=2)
        accuracy_axes.append(top)
        objective_axes.append(bottom)
    _share_scale(accuracy_axes, from_zero=True)
    _share_scale(objective_axes, from_zero=False)
    return figures


def _curve(axes: Axes, history: History, metric: str, scale: float, published: float | None) -> None:
    epochs = [row.epoch for row in history]
    marker = "o" if len(history) == 1 else ""
    for prefix, color, label in (("", COLORS[0], "train"), ("val_", COLORS[1], "val")):
        values = [scale * getattr(row, prefix + metric) for row in history]
        axes.plot(epochs, values, color=color, label=label, linewidth=1.6, marker=marker, markersize=5)
    if published is not None:
        axes.axhline(scale * published, color=MUTED, linewidth=1.2, linestyle="--", label="published")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    if len(history) == 1:
        axes.set_xticks(epochs)


def _share_scale(axes_of_models: Sequence[Axes], *, from_zero: bool) -> None:
    limits = [axes.get_ylim() for axes in axes_of_models]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    for axes in axes_of_models:
        axes.set_ylim(0.0 if from_zero else low, high)
