"""Parts of the page; the whole page is tested in stages/test_report.py."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
from tests.support.synthetic_page import MANIFEST, NAMES, load_results, predict, render, reverse
from tests.support.synthetic_results import PUBLISHED, with_training

from tiny_imagenet.core.schema import Debug
from tiny_imagenet.report.file_records import ClassResult
from tiny_imagenet.report.page import inline


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'id="matrix-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_only_script_is_the_one_of_the_content_security_policy(tmp_path: Path) -> None:
    page = render(tmp_path)
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert len(script) == 1
    assert f"script-src &#39;sha256-{digest}&#39;" in page.replace("'", "&#39;")
    assert "default-src 'none'" in page


def test_the_navigation_lists_every_section(tmp_path: Path) -> None:
    page = render(tmp_path)
    sections = re.findall(r'<section id="([a-z]+)">', page)
    assert re.findall(r'<a href="#([a-z]+)">', page) == sections
    assert len(sections) == 13


def test_the_matrix_has_the_guesses_of_all_models_in_the_order_of_the_wnids(tmp_path: Path) -> None:
    classes = tuple(reversed(MANIFEST.classes))
    data = data_of(render(tmp_path, manifest=dataclasses.replace(MANIFEST, classes=classes)))
    assert data["names"] == NAMES
    assert list(data["guesses"]) == ["large", "small", "vgg"]
    labels = np.frombuffer(base64.b64decode(str(data["labels"])), np.uint8)
    assert labels.tolist() == [11 - label for label in range(12) for _ in range(10)]


def test_a_model_evaluated_on_other_images_is_not_in_the_matrix(tmp_path: Path) -> None:
    predictions = {"small": predict(2), "vgg": reverse(predict(5)), "large": predict(8)}
    data = data_of(render(tmp_path, predictions=predictions))
    assert list(data["guesses"]) == ["large", "small"]


def test_debug_runs_are_named_and_none_is_the_best(tmp_path: Path) -> None:
    results = load_results(tmp_path / "results")
    debug = [with_training(result, debug=Debug(steps=3)) for result in results]
    page = render(tmp_path / "one", results=[*results[:2], debug[2]])
    assert "best is <b>vgg</b>" in page
    assert "large: steps 3. Not a result: compared with nothing.</p>" in page
    page = render(tmp_path / "all", results=debug)
    assert "best is" not in page
    assert "No model here is the best; large is shown as an example." in page
    assert "Debug run" not in render(tmp_path / "none")


def test_a_model_without_mistakes_has_no_empty_lists(tmp_path: Path) -> None:
    results = [
        dataclasses.replace(each, per_class=[right(row) for row in each.per_class])
        for each in load_results(tmp_path / "results")
    ]
    page = render(
        tmp_path / "page", results=results, predictions={name: predict(10) for name in ("small", "vgg", "large")}
    )
    assert "large is right about every val image." in page
    assert len(re.findall(r'<h3>Hardest</h3>\s*<p class="note">None.</p>', page)) == 3
    assert "large’s top-1 accuracy is 100.0 % in every class." in page


def right(row: ClassResult) -> ClassResult:
    return row.model_copy(update={"top_1_accuracy": 1.0, "top_5_accuracy": 1.0})


def test_mistakes_and_pairs_have_their_pictures(tmp_path: Path) -> None:
    page = render(tmp_path)
    assert page.count('<img class="picture" src="data:image/jpeg;base64,') == 12 + 12
    assert "2 of 20 images: 2 of the first taken for the second, 0 the other way." in page


def test_parameters_with_equal_values_are_marked(tmp_path: Path) -> None:
    page = render(tmp_path)
    assert '<tr class="same"><th scope="row">seed</th>' in page
    assert '<tr><th scope="row">lr</th><td>0.2</td><td>0.5</td><td>0.8</td></tr>' in page


def test_each_table_has_its_own_heading(tmp_path: Path) -> None:
    first, *rest = load_results(tmp_path / "apart")
    results = [dataclasses.replace(first, published=PUBLISHED.model_copy(update={"curve": {1: 0.1}}))]
    results += [with_training(each, lr=first.training.lr, seed=seed) for seed, each in enumerate(rest, 10)]
    page = render(tmp_path, results=results)
    section = page[page.index('<section id="results">') : page.index('<section id="discussion">')]
    assert re.findall("<h3>(.*?)</h3>", section) == ["On the way", "Over seeds"]
    assert section.count("<table") == 3


def test_numbers_are_sorted_by_value(tmp_path: Path) -> None:
    assert '<td data-sort="3725.0">1 h 02 min</td>' in render(tmp_path)


def test_hardest_and_easiest_classes_never_overlap(tmp_path: Path) -> None:
    page = render(tmp_path)
    hardest, easiest = page[page.index("Hardest</h3>") :].split("Easiest</h3>")[:2]
    easiest = easiest[: easiest.index("</table>")]
    found = [[name for name in NAMES if f">{name}</th>" in part] for part in (hardest, easiest)]
    assert found == [NAMES[:6], NAMES[6:]]


def test_an_inlined_figure_has_ids_of_its_own_and_the_colors_of_the_page() -> None:
    path = '<path id="a" style="fill: #1f2328; stroke: url(#a)"/>'
    svg = f'<?xml?>\n<svg>{path}<use xlink:href="#a"/><text>#1f2328</text></svg>'
    assert inline(svg, "curves_v.1") == (
        '<svg><path id="curves-v-1-a" style="fill: var(--ink); stroke: url(#curves-v-1-a)"/>'
        '<use xlink:href="#curves-v-1-a"/><text>#1f2328</text></svg>'
    )
