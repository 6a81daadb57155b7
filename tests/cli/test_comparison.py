"""What differs between two models is told by their answers to the same images, and the exact test is exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from tests.support.synthetic_evaluated import IMAGES, change, write_answers, write_checkout

from tiny_imagenet.cli.comparison import compare, mcnemar
from tiny_imagenet.cli.evaluated_models import Scored, find_scored
from tiny_imagenet.core.errors import InputError


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path)


def both(root: Path) -> list[Scored]:
    return [find_scored(root, name) for name in ("weak", "strong")]


def test_what_differs(checkout: Path) -> None:
    found = compare(*both(checkout))
    assert (found.first, found.second, found.split, found.num_images) == ("weak", "strong", "val", 120)
    assert found.parameters == {"lr": (0.01, 0.1), "versions.keras": ("3", "4")}
    assert found.metrics["top_1_accuracy"] == (30 / 120, 44 / 120)
    assert (found.only_first, found.only_second) == (6, 20)
    assert found.p_value == pytest.approx(binomtest(6, 26).pvalue)
    assert found.is_significant
    # of the differences, 20 x +1 and 6 x -1 of 120
    assert found.standard_errors["top_1_accuracy"] == pytest.approx(np.sqrt((26 - 14**2 / 120) / 119 / 120))
    assert found.standard_errors["top_5_accuracy"] == 0
    changes = [(each.name, each.wnid, each.first, each.second, each.num_images) for each in found.classes]
    assert changes == [
        ("one", "n00000001", 10, 30, 40),
        ("zero", "n00000000", 10, 10, 40),
        ("two", "n00000002", 10, 4, 40),
    ]
    assert found.classes[2].p_value == 2 / 2**6  # by chance in one of 32 classes, and three were looked at
    assert [found.is_clear(each) for each in found.classes] == [True, False, False]


def test_the_other_way_round(checkout: Path) -> None:
    weak, strong = both(checkout)
    there, back = compare(weak, strong), compare(strong, weak)
    assert (back.only_first, back.only_second, back.p_value) == (20, 6, there.p_value)
    assert [each.gain for each in back.classes] == [6, 0, -20]
    assert back.parameters["lr"] == (0.1, 0.01)


def test_a_model_and_itself(checkout: Path) -> None:
    weak, _ = both(checkout)
    found = compare(weak, weak)
    assert (found.parameters, found.p_value, found.is_significant) == ({}, 1.0, False)


@pytest.mark.parametrize(("one", "two"), [(0, 0), (1, 0), (5, 5), (8, 1), (0, 9), (300, 370), (2400, 2600)])
def test_mcnemar_is_the_binomial_test(one: int, two: int) -> None:
    first = np.array([True] * one + [False] * two + [True] * 7 + [False] * 4)
    second = np.array([False] * one + [True] * two + [True] * 7 + [False] * 4)
    expected = binomtest(one, one + two).pvalue if one + two else 1.0
    assert mcnemar(first, second) == (one, two, pytest.approx(expected, rel=1e-9))


def test_mcnemar_of_the_largest_difference_there_can_be() -> None:
    assert mcnemar(np.ones(10_000, bool), np.zeros(10_000, bool)) == (10_000, 0, 0.0)


def spoil_split(root: Path) -> None:
    change(root / "metrics" / "strong" / "evaluation.json", split="train")


def spoil_labels(root: Path) -> None:
    label = np.repeat(np.arange(3, dtype=np.int32), IMAGES)
    write_answers(root / "metrics" / "strong", label, label == 1)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (spoil_split, "weak and strong: scored on val and on train; compare models scored on the same split"),
        (
            spoil_labels,
            "weak and strong: scored on different images of val (digits, digits); "
            "compare models scored on the same records",
        ),
    ],
)
def test_other_images_are_refused(checkout: Path, spoil, line: str) -> None:
    spoil(checkout)
    with pytest.raises(InputError) as caught:
        compare(*both(checkout))
    assert str(caught.value) == line


def test_images_are_told_apart_by_their_digests() -> None:
    def scored(manifest: str, shards: tuple[str, ...] | None, labels: int = 3) -> Scored:
        return Scored(None, {"label": np.zeros(labels)}, manifest, shards)  # type: ignore[arg-type]

    one = scored("m", ("a", "b"))
    assert one.has_images_of(scored("other holdout", ("a", "b")))
    assert one.has_images_of(scored("m", None))  # an MLflow run
    assert not one.has_images_of(scored("other", None))
    assert not scored("m", None).has_images_of(scored("other", None))
    assert not one.has_images_of(scored("other", ("a", "c")))
    assert not one.has_images_of(scored("m", ("a", "b"), labels=4))
