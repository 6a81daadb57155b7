"""The command `compare`: a table and a sentence, or JSON; one line for each error."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from tests.support.synthetic_evaluated import write_checkout
from tests.support.synthetic_results import change_json

from tiny_imagenet.cli import compare
from tiny_imagenet.core.errors import InputError


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path)


def run(root: Path, *words: str) -> None:
    parser = argparse.ArgumentParser(description=compare.HELP, epilog=compare.EPILOG)
    compare.add_arguments(parser)
    assert compare.run(parser.parse_args(["--root", str(root), *words])) == 0


@pytest.fixture
def ask(checkout: Path, capsys: pytest.CaptureFixture[str]):
    def output(*words: str) -> str:
        run(checkout, *words)
        return capsys.readouterr().out

    return output


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
def test_a_model_that_is_missing(ask, checkout, name: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        ask("weak", name)
    assert line in str(caught.value)
    assert not (checkout / "mlruns").exists()


def test_a_split_that_the_records_lack(ask, checkout) -> None:
    change_json(checkout / "metrics" / "weak" / "evaluation.json", split="holdout")
    with pytest.raises(InputError, match=r"manifest\.json: has no split 'holdout', on which weak was evaluated; "):
        ask("weak", "strong")


def test_an_mlflow_run_is_the_model_that_it_trained(trained, capsys) -> None:
    run_id = json.loads((trained / "models" / "tiny" / "run.json").read_text())["run_id"]
    run(trained, "--json", "tiny", run_id)
    found = json.loads(capsys.readouterr().out)
    assert (found["parameters"], found["num_images"], found["only_first"], found["only_second"]) == ({}, 7, 0, 0)
    with pytest.raises(InputError, match=r"^run f{32}: no evaluation of it is in the store \("):
        run(trained, "tiny", "f" * 32)


def test_an_unknown_training_time_is_left_out(ask, checkout: Path) -> None:
    assert "train_seconds" in ask("weak", "strong")
    (checkout / "models" / "weak" / "run.json").unlink()
    assert "train_seconds" not in ask("weak", "strong")
