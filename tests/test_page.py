"""The page's parts that choose and change; the whole page is in stages/test_report.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.synthetic_results import write_model

from tiny_imagenet.page import inline, render_page
from tiny_imagenet.reporting import draw_results
from tiny_imagenet.results import load_result
from tiny_imagenet.tfrecords import Class, Manifest

MANIFEST = Manifest("digits", 64, (Class("n0", "zero"),), {}, (0.0,) * 3, (1.0,) * 3)


def page_of(folder: Path, data_report: dict[str, object], words: list[str]) -> str:
    write_model(folder, "vgg", words)
    results = [load_result("vgg", folder / "metrics" / "vgg")]
    return render_page(
        manifest=MANIFEST,
        results=results,
        figures=dict.fromkeys([*draw_results(results), "example-1", "augmentation"], "<svg/>"),
        unknown_examples=[],
        data_report=data_report,
        parameters={"vgg": {"seed": 1}},
    )


@pytest.mark.parametrize(
    ("data_report", "shown"),
    [
        ({"num_images": 1797, "mean": [0.25, 0.5]}, ["<dt>num images</dt><dd>1,797", "0.25, 0.5"]),
        (
            {"train": {"bytes": {"min": 5}}, "val": {"colours": 3}},
            ["train</th>", "bytes, min</th><td>5", "colours</th>"],
        ),
        ({"first": [f"train/image_{number}.JPEG" for number in range(30)]}, ["30 entries", "and 10 more"]),
        ({"nothing": [], "<b>": "<i>", "flag": True}, ["none", "&lt;b&gt;", "&lt;i&gt;", "yes"]),
    ],
)
def test_any_data_report_is_shown(tmp_path: Path, data_report: dict[str, object], shown: list[str]) -> None:
    page = " ".join(page_of(tmp_path, data_report, ["zero", "one"]).split()).replace("> ", ">").replace(" <", "<")
    for text in shown:
        assert text in page


def test_hardest_and_easiest_classes_never_overlap(tmp_path: Path) -> None:
    page = page_of(tmp_path, {}, [f"class{number}" for number in range(5)])
    hardest, easiest = page[page.index("Hardest</h3>") :].split("Easiest</h3>")
    assert [f"class{number}</th>" in hardest for number in range(5)] == [True, True, False, False, False]
    assert [f"class{number}</th>" in easiest for number in range(5)] == [False, False, False, True, True]


def test_an_inlined_figure_has_its_own_ids_and_the_pages_colours() -> None:
    path = '<path id="a" style="fill: #1f2328; stroke: url(#a)"/>'
    svg = f'<?xml?>\n<svg>{path}<use xlink:href="#a"/><text>#1f2328</text></svg>'
    assert inline(svg, "curves_v.1") == (
        '<svg><path id="curves-v-1-a" style="fill: var(--ink); stroke: url(#curves-v-1-a)"/>'
        '<use xlink:href="#curves-v-1-a"/><text>#1f2328</text></svg>'
    )
