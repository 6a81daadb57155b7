"""The comparison of two models on the same images, and McNemar's exact test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from tests.support.synthetic_evaluated import IMAGES_PER_CLASS, write_answers, write_checkout
from tests.support.synthetic_results import change_json

from tiny_imagenet.cli.comparison import compare, mcnemar
from tiny_imagenet.cli.evaluated_models import EvaluatedModel, find_evaluated_model
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.report.predictions import Predictions


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path)


def both(root: Path) -> list[EvaluatedModel]:
    return [find_evaluated_model(root, name) for name in ("weak", "strong")]


def test_the_differences(checkout: Path) -> None:
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
    assert found.classes[2].p_value == pytest.approx(2 / 2**6)  # not clear, as one of three
    assert [found.is_clear(each) for each in found.classes] == [True, False, False]


def test_in_the_opposite_order(checkout: Path) -> None:
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


def test_mcnemar_of_the_largest_possible_difference() -> None:
    assert mcnemar(np.ones(10_000, bool), np.zeros(10_000, bool)) == (10_000, 0, 0.0)


def spoil_split(root: Path) -> None:
    change_json(root / "metrics" / "strong" / "evaluation.json", split="train")


def spoil_labels(root: Path) -> None:
    label = np.repeat(np.arange(3, dtype=np.int32), IMAGES_PER_CLASS)
    write_answers(root / "metrics" / "strong", label, label == 1)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (spoil_split, "weak and strong: evaluated on val and on train; compare models evaluated on the same split"),
        (
            spoil_labels,
            "weak and strong: evaluated on different images of val (digits, digits); "
            "compare models evaluated on the same records",
        ),
    ],
)
def test_other_splits_and_images_are_refused(checkout: Path, spoil, line: str) -> None:
    spoil(checkout)
    with pytest.raises(InputError) as caught:
        compare(*both(checkout))
    assert str(caught.value) == line


def test_images_are_the_same_by_their_digests() -> None:
    def evaluated(manifest: str, shards: tuple[str, ...] | None, labels: int = 3) -> EvaluatedModel:
        predictions = Predictions(np.zeros(labels), np.zeros((labels, 1)), np.ones((labels, 1)))
        return EvaluatedModel(None, predictions, manifest, shards)  # type: ignore[arg-type]

    one = evaluated("m", ("a", "b"))
    assert one.has_images_of(evaluated("other holdout", ("a", "b")))
    assert one.has_images_of(evaluated("m", None))  # an MLflow run
    assert not one.has_images_of(evaluated("other", None))
    assert not evaluated("m", None).has_images_of(evaluated("other", None))
    assert not one.has_images_of(evaluated("other", ("a", "c")))
    assert not one.has_images_of(evaluated("m", ("a", "b"), labels=4))


def test_a_training_on_other_data_is_a_differing_parameter(checkout: Path) -> None:
    path = checkout / "metrics" / "weak" / "training.json"
    change_json(path, data_sha256="ef" * 32)
    assert compare(*both(checkout)).parameters["data_sha256"] == ("ef" * 32, "ab" * 32)
    change_json(path, data_sha256="")  # as in records of earlier versions
    assert "data_sha256" not in compare(*both(checkout)).parameters
