"""The command `compare`: a table and a sentence, or JSON; one line for each error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.support.synthetic_evaluated import write_checkout
from tests.support.synthetic_results import change_json, training

from tiny_imagenet.tracking.runs import TrackedRun


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path)


@pytest.fixture
def ask(checkout: Path, run):
    def output(*words: str) -> str:
        finished = run("compare", "--root", checkout, *words)
        assert (finished.status, finished.err) == (0, "")
        return str(finished.out)

    return output


@pytest.fixture
def refuse(checkout: Path, run):
    def error(*words: str) -> str:
        finished = run("compare", "--root", checkout, *words)
        assert (finished.status, finished.out) == (2, "")
        assert finished.err.startswith("error: compare: ")
        assert finished.err.count("\n") == 1
        return str(finished.err)

    return error


def test_as_text(ask) -> None:
    lines = [" ".join(line.split()) for line in ask("weak", "strong").splitlines()]
    assert lines[:2] == ["A: weak", "B: strong"]
    assert "top_1_accuracy % 25.00 36.67 +11.67 ± 4.13" in lines
    assert "loss 3.500 3.500 0.000" in lines
    assert "num_parameters 4,000,000 4,000,000 0" in lines
    assert lines[lines.index("parameter A B") :][1:3] == ["lr 0.01 0.1", "versions.keras 3 4"]
    assert lines[lines.index("classes that gained most") + 1] == "+20 one: 10 to 30 of 40 *"
    assert lines[lines.index("classes that lost most") + 1] == "−6 two: 10 to 4 of 40"
    assert lines[-3] == "* more than noise, even as one of 3 classes looked at"
    assert lines[-1] == (
        "B is better than A by more than noise: +11.67 ± 4.13 points of top-1 accuracy on the same 120 val images; "
        "20 only B has right, 6 only A (McNemar's exact test: p = 0.0094)."
    )
    assert "B is worse than A by more than noise: −11.67 ± 4.13" in ask("strong", "weak")


def test_a_debug_run_is_not_compared(checkout: Path, ask) -> None:
    change_json(checkout / "metrics" / "strong" / "training.json", debug={"steps": 3})
    output = ask("weak", "strong")
    assert output.endswith(
        "\nNot comparable: debug run strong (steps 3). Its accuracy says nothing about its settings.\n"
    )
    assert ["debug.steps", "-", "3"] in [line.split() for line in output.splitlines()]
    assert "noise" not in output
    found = json.loads(ask("strong", "weak", "--json"))
    assert (found["debug_runs"], found["is_significant"]) == ({"strong": "steps 3"}, False)


def test_nothing_differs(ask) -> None:
    output = ask("weak", "weak")
    assert (
        "No parameter differs.\n\nNo class gained.\n\nNo class lost.\n\nThe difference is no more than noise: "
        in output
    )


def test_as_json(ask) -> None:
    found = json.loads(ask("weak", "strong", "--json"))
    assert found["parameters"]["lr"] == [0.01, 0.1]
    assert found["metrics"]["loss"] == [3.5, 3.5]
    assert (found["only_first"], found["only_second"], found["is_significant"]) == (6, 20, True)
    assert found["classes"][0].items() >= {"wnid": "n00000001", "first": 10, "second": 30, "num_images": 40}.items()
    assert found["verdict"].startswith("B is better than A by more than noise: ")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("strng", "metrics: strng: no such evaluated model; did you mean 'strong'? (or name REVISION:MODEL, "),
        ("HEAD:weak", "HEAD:weak: cannot be read ("),
        ("0" * 32, "mlruns/mlflow.db: no such store; "),
    ],
)
def test_a_missing_model_is_one_line(refuse, checkout: Path, name: str, line: str) -> None:
    assert line in refuse("weak", name)
    assert not (checkout / "mlruns").exists()


def test_a_split_that_the_records_lack(refuse, checkout: Path) -> None:
    change_json(checkout / "metrics" / "weak" / "evaluation.json", split="holdout")
    line = "manifest.json: has no split 'holdout', on which weak was evaluated; "
    assert line in refuse("weak", "strong")


def test_an_mlflow_run_is_the_model_that_it_trained(trained: Path, run) -> None:
    (run_id,) = (path.parents[2].name for path in (trained / "mlruns").rglob("evaluation/predictions.npz"))
    found = json.loads(run("compare", "--root", trained, "--json", "tiny", run_id).out)
    assert (found["parameters"], found["num_images"], found["only_first"], found["only_second"]) == ({}, 7, 0, 0)
    finished = run("compare", "--root", trained, "tiny", "f" * 32)
    assert finished.status == 2
    assert finished.err.startswith(f"error: compare: run {'f' * 32}: no evaluation of it is in the store (")


def test_the_training_time_is_that_of_the_run_or_left_out(ask, checkout: Path, empty_store: Path) -> None:
    assert "train_seconds" not in ask("weak", "strong")
    shutil.copytree(empty_store, checkout / "mlruns")
    for name, seconds in (("weak", 60.0), ("strong", 90.0)):
        record = training(name, epochs=1)
        with TrackedRun(checkout, record, stage=f"train@{name}") as run:
            run.log_result(record.model_sha256, seconds)
    assert json.loads(ask("weak", "strong", "--json"))["metrics"]["train_seconds"] == [60.0, 90.0]
