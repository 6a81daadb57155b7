"""The data report as tables and sentences."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.synthetic_results import DATA_REPORT

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.report.data_summary import load_data_report, summarize_data

CLASSES = [Class("n00000000", "n00000000"), Class("n00000001", "one, uno"), Class("n00000002", "one")]


def test_a_split_is_a_row() -> None:
    table = summarize_data(DATA_REPORT, CLASSES).splits
    assert table.rows[0] == ["train", "100,000", "500", "1,944 (500–3,195)", "194.4 MB", "5", "2", "1"]
    assert len(table.headers) == len(table.rows[0])


def test_a_split_without_labels_has_no_images_a_class() -> None:
    report: dict[str, Any] = copy.deepcopy(DATA_REPORT)
    for key in ("images_per_class", "greyscale_files_per_class"):
        del report["splits"]["val"][key]
    summary = summarize_data(report, CLASSES)
    assert summary.splits.rows[1][2] == "–"
    assert [remark for remark in summary.remarks if "classes" in remark] == [
        "Of the train classes one (n00000001) has the most grey files, 3."
    ]


def test_repeated_images_are_counted_by_place() -> None:
    summary = summarize_data(DATA_REPORT, CLASSES)
    assert summary.repeats.rows == [["the same file, in train and val", "7", "7", "7 train, 7 val"]]
    line = "7 val images are also in train with a different label: memorizing them lowers val accuracy."
    assert line in summary.remarks


def test_lists_name_the_classes() -> None:
    lists = dict(summarize_data(DATA_REPORT, CLASSES).lists)
    assert lists["the same file, in train and val"] == [
        "train/n00000001/images/a.JPEG (one (n00000001)) = val/images/val_2.JPEG"
    ]
    assert lists["classes of equal first word"] == ["one: n00000001 (one (n00000001)), n00000002 (one (n00000002))"]
    assert "classes of equal words" not in lists


def test_data_without_repetition_has_a_remark() -> None:
    report: dict[str, Any] = copy.deepcopy(DATA_REPORT)
    report["identical_files"]["train_and_val"]["contents"] = 0
    report["identical_files"]["train_and_val"]["contents_of_several_classes"] = 0
    assert "No image occurs twice." in summarize_data(report, CLASSES).remarks


@pytest.mark.parametrize(
    ("content", "what"),
    [("[]", "is not a JSON object"), ("{", "cannot be read"), ('{"splits": {}}', "lacks 'train_mean'")],
)
def test_a_damaged_report_is_one_line(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"data\.json: {what}.*; run `dvc repro`"):
        load_data_report(path)
    path.write_text(json.dumps(DATA_REPORT))
    assert load_data_report(path) == DATA_REPORT
