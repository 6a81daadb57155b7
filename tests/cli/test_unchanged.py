"""`tiny-imagenet unchanged`: which of the compared stages are recorded."""

from pathlib import Path

import pytest

from tiny_imagenet.cli import unchanged
from tiny_imagenet.cli.equal_outputs import Difference

NEEDS = {"train@a": [], "train@b": [], "report": ["train@a", "train@b"]}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch):
    """Returns a function from the results and the stages that are not as in dvc.lock to the stages to record."""

    def find(equal: dict[str, bool], *unrecorded: str) -> list[str]:
        monkeypatch.setattr(unchanged, "stages_of", lambda _: NEEDS)
        monkeypatch.setattr(unchanged, "unrecorded_stages", lambda _: set(unrecorded))
        return unchanged._with_equal_inputs(Path(), equal)

    return find


@pytest.mark.parametrize(
    ("differing", "as_default", "with_pages"),
    [
        ([], True, True),
        (["reports/table.md", "reports/index.html"], False, True),
        (["reports/table.md", "reports/results.json"], False, False),
        (["reports/figures/time.svg"], False, False),
        (["failed"], False, False),
    ],
)
def test_pages_with_other_words_are_accepted_on_request(
    differing: list[str], as_default: bool, with_pages: bool
) -> None:
    difference = Difference(3, differing)
    assert unchanged._is_equal(difference, accept_pages=False) is as_default
    assert unchanged._is_equal(difference, accept_pages=True) is with_pages


def test_a_stage_is_recorded_with_all_that_it_needs(recorded) -> None:
    assert recorded({"train@a": True, "train@b": True, "report": True}) == [*NEEDS]
    assert recorded({"train@a": True, "train@b": False, "report": True}) == ["train@a"]


def test_a_stage_that_was_not_compared_counts_as_it_is_recorded(recorded) -> None:
    assert recorded({"train@a": True, "report": True}) == ["train@a", "report"]
    assert recorded({"train@a": True, "report": True}, "train@b") == ["train@a"]
