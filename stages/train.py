"""Stage train NAME: one model by its recipe, to models/NAME and metrics/NAME, and an MLflow run."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from tiny_imagenet.files import sha256_of
from tiny_imagenet.lifecycle import StopRequest, stage_process
from tiny_imagenet.params import as_flat, load_params
from tiny_imagenet.progress import TrainingProgress
from tiny_imagenet.schema import Params
from tiny_imagenet.tfrecords import MANIFEST, load_manifest

RECORDS, MODELS, METRICS = Path("data/records"), Path("models"), Path("metrics")
ROOT = Path(os.environ.get("DVC_ROOT", "."))  # the main checkout, also in an experiment's temporary one


def main(name: str) -> None:
    """Trains a model of params.yaml, going on from the checkpoint that a killed run with the same inputs left."""
    params = load_params()
    chosen = params.model(name)
    load_manifest(RECORDS)
    about = {
        "model": name,
        "architecture": chosen.architecture,
        "arguments": chosen.arguments,
        "recipe": chosen.recipe_name,
        "recipe_epochs": chosen.recipe_epochs,
        **dataclasses.asdict(chosen.recipe),
        "dataset": params.dataset_name,
        "seed": params.seed,
    }
    train(params, name, about)


def train(params: Params, name: str, about: dict[str, object]) -> None:
    """Runs the loop inside its MLflow run, and writes the stage's outputs."""
    from tiny_imagenet import devices  # sets what TensorFlow reads when it is imported

    # isort: split
    from tiny_imagenet.experiment import build_trainer, versions, write_results
    from tiny_imagenet.tracking import Run, experiment_tags

    strategy, digest = devices.make_strategy(params.device), sha256_of(RECORDS / MANIFEST)
    about |= {"device": devices.device_name(strategy), "versions": versions()}
    trainer = build_trainer(
        about,
        strategy,
        data_digest=digest,
        checkpoints=ROOT / ".checkpoints",
        records=RECORDS,
        cache=ROOT / ".cache",
        eval_batch_size=params.evaluation.batch_size,
        checkpoint_seconds=params.training.checkpoint_seconds,
        memory_bytes=params.training.memory_gb * 1e9,
    )
    saved, tags = trainer.restore() or {}, experiment_tags(f"train@{name}", digest)
    stop = StopRequest()  # until here there is nothing to save
    with Run(ROOT, params.dataset_name, run_id=saved.get("run_id"), name=name, tags=tags) as run:
        run.log_inputs(as_flat(about), params.dataset_name, digest, str(RECORDS))
        if saved:
            print(
                f"{name}: going on from step {trainer.progress.step} in the same MLflow run, {run.run_id}", flush=True
            )
        for row in trainer.progress.history[run.logged_epochs() :]:
            run.log_epoch(row)
        run.monitor_system()
        with TrainingProgress(name, trainer.settings.epochs, trainer.steps_per_epoch, trainer.progress.step) as shown:
            trainer.run({"run_id": run.run_id}, on_epoch=[run.log_epoch, shown.epoch], on_steps=shown.steps, stop=stop)
        write_results(
            trainer, about, MODELS / name, METRICS / name, {"run_id": run.run_id, "experiment": params.dataset_name}
        )
        run.log_model(trainer.model)
    trainer.store.remove()


if __name__ == "__main__":
    with stage_process("train"):
        main(sys.argv[1] if len(sys.argv) == 2 else "")
