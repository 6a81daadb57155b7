"""The README's figures are the committed results, and its tree is the tree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COLUMNS = (
    "model",
    "top-1 %",
    "published top-1 %",
    "difference top-1",
    "top-5 %",
    "published top-5 %",
    "difference top-5",
    "epochs",
    "training compute",
    "training time",
)


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_results_are_those_of_the_report():
    table = ROOT / "reports" / "table.md"
    first = table.read_text(encoding="utf-8").split("\n\n")[0]  # a table over seeds may follow
    rows = [cells(line) for line in first.splitlines()]
    places = [rows[0].index(column) for column in COLUMNS]
    expected = ["| " + " | ".join(row[place] for place in places) + " |" for row in rows]
    shown = README.split("<!-- results:")[1].split("-->", 1)[1].split("<!-- /results -->")[0]
    assert [line for line in shown.splitlines() if line.startswith("|")] == expected, "\n" + "\n".join(expected)


def test_every_module_is_in_the_tree():
    tree = README.split("## The tree")[1]
    for path in (ROOT / "src" / "tiny_imagenet").glob("[!_]*.py"):
        assert re.search(rf"\b{path.stem}\b", tree), path.stem


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


def test_readme_is_short():
    assert len(README.splitlines()) <= 150
