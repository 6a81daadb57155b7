"""Experiments, however started, are logged to one MLflow store, and `dvc` shows them."""

import json
import shutil
from pathlib import Path

import pytest
from tests.support.project import CHEAP, NAMES, Project, executed, finish_queue

pytestmark = pytest.mark.pipeline

CHANGED = f"models.{CHEAP}.dropout"
SUMMARY = f"reports/metrics/{CHEAP}.json"
LAST = f"evaluate@{CHEAP}"  # the last stage that these tests need


@pytest.fixture
def trap(project):
    """Makes each Python that imports from the main checkout's src fail; git and DVC do not see it."""
    exclude, module = project.folder / ".git/info/exclude", project.folder / "src/sitecustomize.py"
    exclude.write_text("/src/sitecustomize.py\n")

    def set_trap():
        module.write_text('raise SystemExit("the code of the main checkout")\n')
        project.run("python", "-c", "pass", fails=True, PYTHONPATH="src")

    yield set_trap
    module.unlink(missing_ok=True)
    exclude.unlink()


def rows(project: Project) -> dict[str, dict]:
    """Returns the rows of `dvc exp show` for the experiments of the last commit, by name."""
    commit = next(item for item in project.dvc_json("exp", "show", "--json") if item["name"])
    return {item["name"]: item["revs"][0]["data"] for item in commit["experiments"] or []}


def test_a_temporary_checkout_logs_to_the_one_store(project, trap):
    before, files = project.runs(), project.contents("data", "models", "metrics", "reports")
    trap()
    output = project.dvc("exp", "run", "--temp", "--name", "temporary", "-S", f"{CHANGED}=0.2", LAST)
    assert executed(output) == [f"train@{CHEAP}", LAST]
    assert project.changes() == []
    assert project.contents("data", "models", "metrics", "reports") == files

    (run,) = [run for run_id, run in project.runs().items() if run_id not in before]
    assert run.info.status == "FINISHED"
    assert run.data.params["dropout"] == "0.2"
    tags = {key: run.data.tags[key] for key in ("dvc.experiment", "dvc.baseline", "dvc.stage")}
    head = project.git("rev-parse", "HEAD").strip()
    assert tags == {"dvc.experiment": "temporary", "dvc.baseline": head, "dvc.stage": f"train@{CHEAP}"}
    first = project.run_of(CHEAP)
    assert run.data.tags["dataset.sha256"] == first.data.tags["dataset.sha256"] != ""

    assert run.info.artifact_uri.startswith((project.store / "artifacts").as_uri())
    artifact = Path(project.client().download_artifacts(run.info.run_id, "evaluation/evaluation.json"))
    top_1 = json.loads(artifact.read_text())["top_1_accuracy"]
    shown = rows(project)["temporary"]["metrics"][SUMMARY]["data"][CHEAP]
    assert top_1 == shown["top_1_accuracy"] == run.data.metrics["final_val_top_1_accuracy"]


@pytest.mark.slow
def test_the_queue_logs_to_the_one_store(project, trap):
    before = project.runs()
    for value in ("0.3", "0.4"):
        project.dvc("exp", "run", "--queue", "--name", f"queued-{value[-1]}", "-S", f"{CHANGED}={value}", LAST)
    trap()
    project.dvc("queue", "start")
    finish_queue(project)
    new = [run for run_id, run in project.runs().items() if run_id not in before]
    assert [(run.data.tags["dvc.experiment"], run.data.params["dropout"]) for run in new] == [
        ("queued-3", "0.3"),
        ("queued-4", "0.4"),
    ]
    assert {"queued-3", "queued-4"} <= set(rows(project))
    assert project.changes() == []


def test_exp_show(project, dropout):
    shown = rows(project)["dropout"]
    assert shown["params"]["params.yaml"]["data"]["models"][CHEAP]["dropout"] == 0.1
    assert {f"reports/metrics/{name}.json" for name in NAMES} <= set(shown["metrics"])
    assert "dropout" in project.dvc("exp", "show", "--only-changed")


def test_make_experiments_shows_what_changed_and_fits_a_wide_terminal(project, dropout):
    if others := rows(project).keys() - {"dropout"}:  # of other tests, with other parameters
        project.dvc("exp", "remove", *others)
    shown = project.run("make", "--assume-old=.venv/ready", "experiments")
    header = next(line for line in shown.splitlines() if "Experiment" in line)
    assert max(len(line) for line in shown.splitlines()) <= 160
    assert CHANGED in header
    assert not [word for word in ("src/", "stages/", "data/", ".keras", "recipes.", "published.") if word in header]
    assert not [name for name in NAMES if name != CHEAP and f"{name}." in header]
    assert "[dropout]" in shown


def test_make_dag_fits_a_terminal(project):
    shown = project.run("make", "--assume-old=.venv/ready", "dag")
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert not [stage for stage in ("fetch", "preprocess", "train", "evaluate", "report") if stage not in shown]


def test_metrics_show(project):
    shown = project.dvc_json("metrics", "show", "--json")[""]["data"]
    for name in NAMES:
        summary = shown[f"reports/metrics/{name}.json"]["data"]
        assert summary == project.json(f"reports/metrics/{name}.json")
        assert summary[name].items() <= project.json(f"metrics/{name}/evaluation.json").items()


def test_metrics_diff(project, dropout):
    changed = project.dvc_json("metrics", "diff", "HEAD", "dropout", "--json")
    assert set(changed) == {SUMMARY}
    assert set(changed[SUMMARY]) >= {f"{CHEAP}.loss", f"{CHEAP}.objective"}
    assert project.dvc_json("metrics", "diff", "--json") == {}


def test_compare(project, dropout):
    first, second = f"HEAD:{CHEAP}", f"dropout:{CHEAP}"
    run_id = project.run_of(CHEAP).info.run_id

    def compare(*words: str) -> dict:
        return json.loads(project.run("python", "-m", "tiny_imagenet", "compare", "--json", *words, PYTHONPATH="src"))

    found = compare(first, second)
    assert found["parameters"] == {"dropout": [0.0, 0.1]}
    assert found["num_images"] == project.json(f"metrics/{CHEAP}/evaluation.json")["num_images"]
    shown = rows(project)["dropout"]["metrics"][SUMMARY]["data"][CHEAP]
    a, b = found["metrics"]["top_1_accuracy"]
    assert (a, b) == (project.json(f"metrics/{CHEAP}/evaluation.json")["top_1_accuracy"], shown["top_1_accuracy"])
    assert found["only_second"] - found["only_first"] == pytest.approx((b - a) * found["num_images"])
    for same in (CHEAP, run_id):  # of the checkout, and of MLflow
        assert compare(same, second) == found | {"first": same}
    assert project.changes() == []


CURVES = ["Top-1 accuracy, val", "Top-1 accuracy, train", "Loss, val"]


def test_plots_show(workspace):
    plots = {name: plot["content"] for name, (plot,) in workspace.dvc_json("plots", "show", "--json")["data"].items()}
    learning, confusions = ({name: f"metrics/{name}/{file}.csv" for name in NAMES} for file in ("history", "confusion"))
    assert sorted(plots) == sorted([*CURVES, *learning.values(), *confusions.values()])
    for name in CURVES:
        assert {point["model"] for point in plots[name]["data"]["values"]} == set(NAMES)
    for name in NAMES:
        assert name in plots[learning[name]]["title"]["text"]
        columns = next(step["fold"] for step in plots[learning[name]]["transform"] if "fold" in step)
        assert all({"epoch", *columns} <= set(point) for point in plots[learning[name]]["data"]["values"])
        confusion = plots[confusions[name]]
        assert name in confusion["title"]["text"]
        assert len(confusion["data"]["values"]) == workspace.json(f"metrics/{name}/evaluation.json")["num_images"]
        axes = confusion["spec"]["encoding"]
        assert (axes["y"]["field"], axes["x"]["field"]) == ("actual", "predicted")
        total = next(step for step in confusion["transform"] if "joinaggregate" in step)
        assert total["groupby"] == ["rev", "actual"]  # each row adds up to one

    workspace.dvc("plots", "show")
    page = (workspace.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert not [name for name in plots if name not in page]
    assert workspace.changes() == []


def test_plots_show_the_finished_epochs_of_a_training_that_runs(workspace):
    """DVC has deleted the stage's outputs; the stage has written history.csv after its first epoch."""
    shutil.rmtree(workspace.folder / "models" / CHEAP)
    path = workspace.folder / "metrics" / CHEAP / "history.csv"
    header, first = path.read_text(encoding="utf-8").splitlines()[:2]
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_text(f"{header}\n{first.replace('1,', '7,', 1)}\n", encoding="utf-8")
    name = f"metrics/{CHEAP}/history.csv"
    (plot,) = workspace.dvc_json("plots", "show", name, "--json")["data"][name]
    assert [point["epoch"] for point in plot["content"]["data"]["values"]] == ["7"]


def test_a_clone_without_outputs_shows_the_curves_of_all_models(workspace):
    shutil.rmtree(workspace.folder / "metrics")
    shown = workspace.dvc_json("plots", "show", *CURVES, "--json")["data"]
    assert sorted(shown) == sorted(CURVES)


def test_plots_diff(workspace, dropout):
    plots = workspace.dvc_json("plots", "diff", "HEAD", "dropout", "--json")["data"]
    plot = plots["Loss, val"][0]["content"]
    revisions = {(point["rev"], point["model"]) for point in plot["data"]["values"]}
    assert revisions == {(rev, name) for rev in ("HEAD", "dropout") for name in NAMES}
    color, dash = (plot["encoding"][channel] for channel in ("color", "strokeDash"))
    assert (color["field"], dash["field"]) == ("model", "rev")
    assert len({tuple(pattern) for pattern in dash["scale"]["range"]}) >= 4
    assert len(set(color["scale"]["range"])) >= 2 * len(NAMES)
    for legend in (color["legend"], dash["legend"]):  # a line, whose color and dashes can be seen
        assert (legend["symbolType"], legend["symbolSize"] >= 400) == ("stroke", True)
    confusion = plots[f"metrics/{CHEAP}/confusion.csv"][0]["content"]
    assert {point["rev"] for point in confusion["data"]["values"]} == {"HEAD", "dropout"}
    assert confusion["facet"]["field"] == "rev"
