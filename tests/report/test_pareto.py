"""The Pareto front of accuracy and training compute."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.synthetic_page import load_results
from tests.support.synthetic_results import with_training

from tiny_imagenet.report.pareto import cheapest_above, pareto_front
from tiny_imagenet.report.results import Result


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    """small, vgg, large: 10, 25 and 40 % of 120 images, at rising cost."""
    flops = (10**12, 10**13, 10**14)
    return [with_training(result, train_flops=cost) for result, cost in zip(load_results(tmp_path), flops, strict=True)]


def names(results: list[Result]) -> list[str]:
    return [result.model for result in results]


def test_a_dominated_model_is_not_on_the_front(results: list[Result]) -> None:
    small, vgg, large = results
    assert names(pareto_front([large, vgg, small])) == ["small", "vgg", "large"]
    assert names(pareto_front([with_training(small, train_flops=2 * 10**13), vgg, large])) == ["vgg", "large"]
    assert names(pareto_front([small, with_training(large, train_flops=10**12)])) == ["large"]


def test_above_means_significantly_above(results: list[Result]) -> None:
    found = [cheapest_above(results, goal) for goal in (0.04, 0.05, 0.17, 0.3, 0.4)]
    assert [result and result.model for result in found] == ["small", "vgg", "vgg", "large", None]
