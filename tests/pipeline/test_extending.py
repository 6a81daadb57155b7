"""docs/extending.md, typed as it stands into a copy: what it touches, and what it makes stale."""

import re
import shutil

import pytest
from tests.support.project import CHEAP, NAMES, REPOSITORY, executed

pytestmark = pytest.mark.pipeline

PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
# "New file `PATH`", or "In `PATH`, after `LINE`" or "in place of `LINE`" (no path: in the same file); then a block.
STEP = re.compile(
    r"(?:New file `(?P<new>[^`]+)`"
    r"|(?:[Ii]n `(?P<path>[^`]+)`, )?(?:and )?(?P<where>after|in place of) `(?P<line>[^`]+)`)"
    r"(?P<rest>[^`]*(?:`[^`\n]+`[^`]*)*?)\n\n```\w+\n(?P<block>.*?)```\n",
    re.DOTALL,
)


def type_section(title, project):
    """Types a section's blocks into the copy's files; returns the files."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    files, path = [], ""
    for step in STEP.finditer(section):
        path = step["new"] or step["path"] or path
        target = project.folder / path
        if step["new"]:
            target.write_text(step["block"], encoding="utf-8")
        else:
            text = target.read_text(encoding="utf-8")
            line = next(
                (each for each in text.splitlines() if each.split(" #")[0].rstrip() == step["line"].rstrip()), ""
            )
            assert line, f"{path} has no line {step['line']!r}"
            new = step["block"] if step["where"] == "in place of" else f"{line}\n{step['block']}"
            target.write_text(text.replace(f"{line}\n", new, 1), encoding="utf-8")
        files.append(path)
    assert files, title
    return sorted(set(files))


@pytest.fixture
def with_model(workspace):
    """The copy after the section on a model; its params.yaml is the demo's."""
    return workspace, type_section("A model", workspace)


def test_a_model(with_model):
    project, files = with_model
    added = ["params.yaml", "src/tiny_imagenet/models/small_cnn.py", "tests/models/test_models.py"]
    assert files == added
    names = ["train@small_cnn", "evaluate@small_cnn", "report"]
    assert executed(project.dvc("repro")) == names
    assert "small\\_cnn" in (project.folder / "reports" / "table.md").read_text(encoding="utf-8")
    row = "tests/models/test_models.py"
    project.run("python", "-m", "pytest", "-q", "-k", "small_cnn", row, PYTHONPATH="src")


def test_the_demo_trains_it(with_model, tmp_path):
    from demo.run import make_copy

    project, _ = with_model
    shutil.copy(project.folder / "params.yaml", project.folder / "demo" / "params.yaml")  # the page: the same in both
    make_copy(project.folder, tmp_path / "demo")
    command = ["stage", "list", "--name-only"]
    shown = project.run("python", "-m", "dvc", "--cd", str(tmp_path / "demo"), *command)
    assert {"train@small_cnn", "evaluate@small_cnn"} <= set(shown.split())


def test_a_seed(with_model):
    project, _ = with_model
    assert type_section("A seed", project) == ["params.yaml"]
    names = ["train@small_cnn", "train@small_cnn_2"]
    assert executed(project.dvc("repro", *names)) in ([names[1]], names)  # the first may come from the run-cache
    first, second = (project.json(f"metrics/{name}/training.json") for name in ("small_cnn", "small_cnn_2"))
    differing = {key for key in first if first[key] != second[key]}
    assert differing == {"model", "seed", "model_sha256"}


def test_a_metric(workspace):
    assert type_section("A metric", workspace) == ["src/tiny_imagenet/evaluation/metrics.py"]
    planned = executed(workspace.dvc("repro", "--dry"))
    assert sorted(planned) == sorted([*(f"evaluate@{name}" for name in NAMES), "report"])
    workspace.dvc("repro", "--single-item", f"evaluate@{CHEAP}")
    shown = workspace.json(f"reports/metrics/{CHEAP}.json")[CHEAP]
    assert shown["top_1_accuracy"] <= shown["top_3_accuracy"] <= shown["top_5_accuracy"]
    run = workspace.run_of(CHEAP)
    assert run.data.metrics["final_val_top_3_accuracy"] == shown["top_3_accuracy"]


def test_a_stage(workspace):
    assert type_section("A stage", workspace) == ["dvc.yaml", "stages/count.py"]
    assert executed(workspace.dvc("repro", "count")) == ["count"]
    assert workspace.json("reports/counts.json")["train"] == 1297
