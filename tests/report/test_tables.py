"""The tables: cells, marks and notes, and their texts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.support.synthetic_results import PUBLISHED, load_model_result, with_training, write_model

from tiny_imagenet.core.schema import Debug
from tiny_imagenet.report.comparison_tables import comparison, make_tables, over_seeds
from tiny_imagenet.report.formats import format_duration, format_flops
from tiny_imagenet.report.results import ACCURACIES, SCORES, Result
from tiny_imagenet.report.seeds import repeated
from tiny_imagenet.report.tables import as_markdown, as_text

WORDS = ["zero", "one"]


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    write_model(tmp_path, "vgg", WORDS, epochs=40, top_1=0.25)
    write_model(tmp_path, "small", WORDS, epochs=1, top_1=0.2)
    return [load_model_result(tmp_path, "vgg", PUBLISHED), load_model_result(tmp_path, "small")]


@pytest.fixture
def seeds(tmp_path: Path) -> list[Result]:
    for seed, top_1 in ((1, 0.2), (2, 0.3), (3, 0.4)):
        write_model(tmp_path, f"quick_{seed}", WORDS, top_1=top_1)
    return [load_model_result(tmp_path, f"quick_{seed}", seed=seed) for seed in (1, 2, 3)]


def test_the_table_compares_with_the_published_values(results: list[Result]) -> None:
    table = comparison(results)
    vgg, small = (dict(zip(table.headers, row, strict=True)) for row in table.rows)
    expected = {
        "model": "vgg",
        "top-1 %": "25.00",
        "published top-1 %": "24.5",
        "difference top-1": "+0.50 ± 0.43",
        "top-5 %": "50.00",
        "published top-5 %": "48.8",
        "difference top-5": "+1.20 ± 0.50",
        "loss": "3.500",
        "objective": "4.000",
        "published objective": "3.98",
        "epochs": "40 of 40",
        "parameters": "4,000,000",
        "training time": "1 h 02 min",
        "training compute": "2.38 PFLOP",
        "device": "CPU (2 cores)",
    }
    assert vgg.items() >= expected.items()
    other_scores = [header for header in vgg if header not in expected]
    assert all(any(score.label in header for score in SCORES) for header in other_scores)
    assert small["top-1 %"] == "20.00 ± 0.40"
    assert small["published top-1 %"] == small["difference top-1"] == small["published objective"] == "–"
    assert small["epochs"] == "1 of 40 *"
    assert any("compare that" in note for note in table.notes)
    assert any(note.startswith("* Trained for fewer epochs") for note in table.notes)


def test_a_debug_run_is_marked(results: list[Result]) -> None:
    vgg, small = results
    table = comparison([vgg, with_training(small, debug=Debug(steps=3, fraction=0.5))])
    cells = [row[table.headers.index("top-1 %")] for row in table.rows]
    assert cells == ["25.00", "20.00 ± 0.40 §"]
    assert table.notes[-1] == "§ Debug run, not comparable: small (fraction 0.5, steps 3)."
    assert not [note for note in comparison(results).notes if "§" in note]


def test_an_accuracy_of_100_percent_has_a_bound_in_place_of_an_error(tmp_path: Path) -> None:
    write_model(tmp_path, "vgg", WORDS, top_1=0.5, num_images=300)
    table = comparison([load_model_result(tmp_path, "vgg")])
    row = dict(zip(table.headers, table.rows[0], strict=True))
    assert (row["top-1 %"], row["top-5 %"]) == ("50.00 ± 2.89", "100.00")
    assert table.notes[1].endswith("it is within 1.00 points of that, with 95 % confidence (3/n).")


def test_more_epochs_than_the_recipe_has_are_not_a_part_of_them(results: list[Result]) -> None:
    table = comparison([with_training(result, epochs=50) for result in results])
    assert {row[table.headers.index("epochs")] for row in table.rows} == {"50, recipe 40"}


def test_without_a_published_table_its_columns_are_left_out(results: list[Result]) -> None:
    table = comparison(results[1:])
    assert not [header for header in table.headers if header.startswith(("published", "difference"))]
    assert not [note for note in table.notes if "published" in note]


def test_markdown_and_text_hold_every_cell(results: list[Result]) -> None:
    table = comparison(results)
    text, lines = as_text(table), as_markdown(table).splitlines()
    assert lines[2].startswith("| vgg | 25.00 | 24.5 | +0.50 ± 0.43 | 50.00 |")
    assert "1 of 40 \\*" in lines[3]
    assert len({line.replace("\\|", "").count("|") for line in lines[:4]}) == 1
    for row in table.rows:
        assert all(cell in text for cell in row)


def test_an_unknown_time_is_a_dash(results: list[Result]) -> None:
    table = comparison([dataclasses.replace(results[0], train_seconds=None)])
    assert table.rows[0][table.headers.index("training time")] == "–"


def test_markdown_escapes(results: list[Result]) -> None:
    table = comparison([*results[:1], dataclasses.replace(results[1], model="a|b<script>")])
    assert "| a\\|b&lt;script> |" in as_markdown(table)


def test_the_cost_follows_the_accuracies(results: list[Result]) -> None:
    headers = comparison(results).headers
    place = headers.index("epochs")
    assert headers[place : place + 4] == ["epochs", "training compute", "training time", "device"]


def test_flip_tta_and_pretraining_have_marks_and_notes(tmp_path: Path, results: list[Result]) -> None:
    flipped = load_model_result(tmp_path, "small", flip_tta=True)
    table = comparison([results[0], flipped])
    assert [row[1] for row in table.rows] == ["25.00", "20.00 ± 0.40 †"]
    assert "† Averaged over the image and its mirror image." in table.notes
    both = comparison([load_model_result(tmp_path, "vgg", PUBLISHED, flip_tta=True, pretrained="imagenet")])
    assert both.rows[0][1] == "25.00 † ‡"
    assert "‡ Pretrained: ImageNet contains these classes; not comparable." in both.notes
    assert not [note for note in comparison(results).notes if note.startswith(("†", "‡"))]


def test_the_published_plot_beside_the_history(tmp_path: Path) -> None:
    write_model(tmp_path, "vgg", WORDS, epochs=3, top_1=0.25)
    result = load_model_result(tmp_path, "vgg", PUBLISHED.model_copy(update={"curve": {5: 0.19, 2: 0.1}}))
    at_two = result.history[1].val_top_1_accuracy
    _, table = make_tables([result])
    assert table.headers == ["on the way", "after epoch", "top-1 %", "published plot, top-1 %", "difference top-1"]
    error = 100.0 * (at_two * (1.0 - at_two) / result.evaluation.num_images) ** 0.5
    difference = f"{100.0 * (at_two - 0.1):+.1f} ± {error:.1f}".replace("-", "−")
    assert table.rows == [
        ["vgg", "2", f"{100.0 * at_two:.2f}", "10", difference],
        ["vgg", "5", "–", "19", "–"],
    ]
    assert "vgg" in as_markdown(table)
    assert "vgg" in as_text(table)


def test_over_seeds(seeds: list[Result], results: list[Result]) -> None:
    table = over_seeds(repeated(seeds))
    (row,) = table.rows
    assert row[:10] == ["quick_1", "3 (1, 2, 3)", "30.00", "10.00", "5.77", "18.45", "60.00", "20.00", "11.55", "36.91"]
    assert len(table.headers) == len(row) == 2 + 4 * len(ACCURACIES)
    assert len(make_tables(seeds)) == 2
    assert len(make_tables(results)) == 1


def test_text_continues_in_a_second_block_if_the_models_are_too_wide(seeds: list[Result]) -> None:
    table = comparison(seeds * 3)
    text = as_text(table)
    assert max(len(line) for line in text.split("\n\n±")[0].splitlines()) <= 110
    assert text.count("top-1 %") == text.count("device") == 2
    assert text.count("quick_2") == 3


@pytest.mark.parametrize(("flops", "text"), [(2.376e15, "2.38 PFLOP"), (5.9e13, "59 TFLOP"), (10.0, "1e-05 MFLOP")])
def test_format_flops(flops: float, text: str) -> None:
    assert format_flops(flops) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (59.7, "1 min 00 s"), (723, "12 min 03 s"), (11100, "3 h 05 min"), (None, "–")]
)
def test_format_duration(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text
