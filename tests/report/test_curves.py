"""The curves show the values of the histories."""

from __future__ import annotations

import pytest
from tests.support.synthetic_results import PUBLISHED

from tiny_imagenet.report.curves import draw_curves
from tiny_imagenet.report.results import Epoch

KEYS = ("loss", "objective", "top_1_accuracy", "top_5_accuracy")
ALL_KEYS = (*KEYS, *(f"val_{key}" for key in KEYS))


def history(epochs: int, l2: float = 0.5) -> list[Epoch]:
    return [
        Epoch(epoch=epoch, lr=0.1, **dict.fromkeys(ALL_KEYS, epoch / 100) | {"val_loss": epoch / 100 - l2})
        for epoch in range(1, epochs + 1)
    ]


def test_curves_show_each_epoch_and_the_published_value() -> None:
    figure = draw_curves({"vgg": history(4)}, {"vgg": PUBLISHED})["vgg"]
    top, bottom = figure.axes
    train, val, published = top.lines
    assert list(train.get_xdata()) == list(val.get_xdata()) == [1, 2, 3, 4]
    assert list(val.get_ydata()) == pytest.approx([1, 2, 3, 4])
    assert list(published.get_ydata()) == pytest.approx([24.5, 24.5])
    assert [line.get_label() for line in bottom.lines] == ["train", "val", "published", "val, no L2 term"]
    assert list(bottom.lines[2].get_ydata()) == [3.98, 3.98]


def test_a_published_curve_is_drawn_beside_a_shorter_training() -> None:
    published = PUBLISHED.model_copy(update={"curve": {30: 0.19, 10: 0.05}})
    figure = draw_curves({"vgg": history(2)}, {"vgg": published})["vgg"]
    points = figure.axes[0].lines[-1]
    assert (list(points.get_xdata()), list(points.get_ydata())) == ([10, 30], pytest.approx([5.0, 19.0]))
    assert list(figure.axes[0].get_xticks()) == [2, 10, 30]
    assert "published plot" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_curves_of_one_epoch_are_points_and_without_l2_there_is_one_loss() -> None:
    top, bottom = draw_curves({"vgg": history(1, l2=0.0)}, {})["vgg"].axes
    assert all(line.get_marker() == "o" for line in top.lines)
    assert list(top.get_xticks()) == [1]
    assert [line.get_label() for line in bottom.lines] == ["train", "val"]


def test_curves_of_all_models_share_their_scales() -> None:
    figures = draw_curves({"a": history(2), "b": history(40)}, {})
    for first, second in zip(figures["a"].axes, figures["b"].axes, strict=True):
        assert first.get_ylim() == second.get_ylim()
