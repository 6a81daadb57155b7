"""Accuracy over cost: positions of the points and their labels."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from tiny_imagenet.report.cost import PUBLISHED, Point, draw_compute, draw_time
from tiny_imagenet.report.style import to_svg

POINTS = [
    Point("minutes × 3", "CPU", 1.8e13, 0.27, 0.54),
    Point("", "CPU", 1.8e13, 0.28, 0.53),
    Point("hour", "CPU", 3.6e14, 0.52, 0.76),
    Point("quick", "GPU", 1e16, 0.67, 0.87),
    Point("vgg", PUBLISHED, 2.4e15, 0.245, 0.488),
]


def labels(figure: Figure, panel: int) -> dict[str, Annotation]:
    return {text.get_text(): text for text in figure.axes[panel].texts if isinstance(text, Annotation)}


def test_each_model_is_a_point_at_its_cost_by_the_device() -> None:
    figure = draw_compute(POINTS)
    top, bottom = figure.axes
    assert top.get_xscale() == bottom.get_xscale() == "log"
    assert [line.get_label() for line in top.lines] == ["CPU", "GPU", PUBLISHED]
    assert list(top.lines[0].get_xdata()) == [1.8e13, 1.8e13, 3.6e14]
    assert list(top.lines[0].get_ydata()) == pytest.approx([27.0, 28.0, 52.0])
    assert list(bottom.lines[2].get_ydata()) == [48.8]
    assert top.lines[2].get_marker() == "D"
    assert set(labels(figure, 0)) == set(labels(figure, 1)) == {"minutes × 3", "hour", "quick", "vgg"}


def test_the_best_published_value_is_a_line_over_time() -> None:
    points = [Point("a", "CPU", 228.0, 0.27, 0.54)]
    with_line = draw_time(points, {"top_1_accuracy": 0.245, "top_5_accuracy": 0.488})
    assert [list(axes.lines[1].get_ydata()) for axes in with_line.axes] == [[24.5, 24.5], [48.8, 48.8]]
    assert [len(axes.lines) for axes in draw_time(points, {}).axes] == [1, 1]


def test_ticks_are_round_values_with_units() -> None:
    def shown(figure: Figure) -> list[str]:
        figure.draw_without_rendering()
        return [label.get_text() for label in figure.axes[0].get_xticklabels()]

    assert shown(draw_time([Point("a", "CPU", 228.0, 0.2, 0.5)], {})) == ["2 min", "5 min"]
    assert shown(draw_compute(POINTS)) == ["10 T", "100 T", "1 P", "10 P"]


def test_labels_overlap_no_point_and_no_other_label() -> None:
    crowd = [Point(f"model_{place}", "CPU", 1e13 * 1.6**place, 0.2 + 0.01 * place, 0.5) for place in range(8)]
    figure = draw_compute(crowd)
    figure.draw_without_rendering()
    for panel, axes in enumerate(figure.axes):
        boxes = [Text.get_window_extent(text) for text in labels(figure, panel).values()]  # without lines
        spots = [axes.transData.transform(pair) for pair in axes.lines[0].get_xydata()]
        assert len(labels(figure, panel)) == 8
        assert not [1 for box in boxes for spot in spots if box.contains(*spot)]
        assert not [1 for place, box in enumerate(boxes) for other in boxes[:place] if box.overlaps(other)]


def test_the_same_points_give_the_same_bytes() -> None:
    assert to_svg(draw_compute(POINTS)) == to_svg(draw_compute(POINTS))
