"""Accuracy for cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.report.test_discussion import with_training
from tests.support.synthetic_page import load_results
from tiny_imagenet.report.frontier import cheapest_above, frontier

from tiny_imagenet.report.results import Result


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    """small, vgg, large: 10, 25 and 40 % of 120 images, ever dearer."""
    flops = (1e12, 1e13, 1e14)
    return [with_training(result, train_flops=cost) for result, cost in zip(load_results(tmp_path), flops, strict=True)]


def names(results: list[Result]) -> list[str]:
    return [result.model for result in results]


def test_what_costs_more_must_be_better(results: list[Result]) -> None:
    small, vgg, large = results
    assert names(frontier([large, vgg, small])) == ["small", "vgg", "large"]
    assert names(frontier([with_training(small, train_flops=2e13), vgg, large])) == ["vgg", "large"]
    assert names(frontier([small, with_training(large, train_flops=1e12)])) == ["large"]


def test_above_means_by_more_than_chance(results: list[Result]) -> None:
    found = [cheapest_above(results, goal) for goal in (0.04, 0.05, 0.17, 0.3, 0.4)]
    assert [result and result.model for result in found] == ["small", "vgg", "vgg", "large", None]
