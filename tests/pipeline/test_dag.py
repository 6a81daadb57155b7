"""`dvc repro` and `dvc exp run` on the digits: the outputs, and the stages that run again after a change."""

import pytest
import yaml
from dvc.repo import Repo
from tests.support.project import CHEAP, NAMES, executed

pytestmark = pytest.mark.pipeline

KEYS = {
    *("model", "recipe", "dataset", "epochs", "top_1_accuracy", "top_5_accuracy", "loss", "objective"),
    *("num_parameters", "train_seconds", "train_flops", "device", "seeds", "published"),
}


def test_every_output_is_there(project):
    stages = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    verbs = [f"{verb}@{name}" for verb in ("train", "evaluate") for name in NAMES]
    assert sorted(stages) == sorted(["fetch", "preprocess", *verbs, "report"])
    outs = [out["path"] for stage in stages.values() for out in stage["outs"]]
    assert {f"models/{name}/model.keras" for name in NAMES} < set(outs)
    assert not [out for out in outs if not (project.folder / out).exists()]


def test_results_json(project):
    results = project.json("reports/results.json")
    assert [result["model"] for result in results] == list(NAMES)
    for result, model in zip(results, project.params()["models"].values(), strict=True):
        assert set(result) >= KEYS
        assert (result["recipe"], result["dataset"], result["epochs"]) == (model["recipe"], "digits", 1)
        assert (result["seeds"], result["published"]) == ([model.get("seed", 1)], None)
        assert 0 <= result["top_1_accuracy"] <= result["top_5_accuracy"] <= 1
        assert 0 < result["loss"] <= result["objective"]
        assert min(result[key] for key in ("num_parameters", "train_seconds", "train_flops")) > 0
        assert result["device"]
        assert result["top_1_accuracy"] == project.json(f"metrics/{result['model']}/evaluation.json")["top_1_accuracy"]


def test_the_table_and_the_page_name_every_model(project):
    for report in ("table.md", "index.html"):
        text = (project.folder / "reports" / report).read_text(encoding="utf-8").replace("\\", "")
        assert not [name for name in NAMES if name not in text]


def test_git_status_lists_the_results_in_git_alone(built):
    project, experiment = built
    kept_in_git = [out.def_path for out in Repo(str(project.folder)).index.outs if not out.use_cache]
    assert {"reports/results.json", "reports/table.md", "reports/figures"} <= set(kept_in_git)
    allowed = (*kept_in_git, "params.yaml", "dvc.lock")
    assert not [path for path in experiment.changes if not path.startswith(allowed)]
    assert not [path for path in allowed if not any(change.startswith(path) for change in experiment.changes)]


def test_each_model_has_one_run(project):
    runs = {name: project.run_of(name) for name in NAMES}
    assert len({run.info.run_id for run in runs.values()}) == len(NAMES)
    for name, run in runs.items():
        assert (run.info.run_name.split()[0], run.info.status) == (name, "FINISHED")


def test_an_up_to_date_pipeline_runs_no_stage(workspace):
    assert executed(workspace.dvc("repro")) == []
    assert workspace.changes() == []
    assert workspace.dvc_json("status", "--json") == {}


def test_one_number_of_one_model_reruns_that_model_alone(dropout):
    assert executed(dropout.output) == [f"train@{CHEAP}", f"evaluate@{CHEAP}", "report"]
    assert not [name for name in NAMES if name != CHEAP for change in dropout.changes if f"metrics/{name}." in change]


@pytest.mark.parametrize("key", ["lr", "epochs", "batch_size", "seed"])
def test_a_top_level_number_reruns_every_model_and_no_data(workspace, key):
    workspace.edit_params(**{key: 2})
    planned = executed(workspace.dvc("repro", "--dry"))
    assert planned[: len(NAMES)] == [f"train@{name}" for name in NAMES]
    assert not {"fetch", "preprocess"} & set(planned)


def test_going_back_makes_no_new_run(workspace, dropout):
    committed, runs = workspace.contents("models", "metrics", "reports"), list(workspace.runs())
    workspace.dvc("exp", "apply", "dropout")
    assert workspace.contents("models", "metrics", "reports") != committed
    output = workspace.dvc("exp", "run", "-S", f"models.{CHEAP}.dropout=0.0")
    assert not [stage for stage in executed(output) if stage != "report"]
    assert workspace.contents("models", "metrics", "reports") == committed
    assert list(workspace.runs()) == runs
