"""Stage train NAME: one model by its recipe, to models/NAME and metrics/NAME, and an MLflow run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tiny_imagenet.core.files import sha256_of, write_json
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.process import StopRequest, stage_process
from tiny_imagenet.core.progress import TrainingProgress
from tiny_imagenet.core.run_record import RunFile, RunRecord
from tiny_imagenet.core.schema import ModelSettings, Params
from tiny_imagenet.dataset.manifest import MANIFEST, load_manifest

if TYPE_CHECKING:
    from tiny_imagenet.tracking.runs import TrackedRun
    from tiny_imagenet.training.loop import Trainer

RECORDS, MODELS, METRICS = Path("data/records"), Path("models"), Path("metrics")
ROOT = Path(os.environ.get("DVC_ROOT", "."))  # the main checkout, also in an experiment's temporary one


def main(name: str) -> None:
    """Trains a model of params.yaml; resumes from the checkpoint of an interrupted run with the same inputs."""
    params = load_params()
    load_manifest(RECORDS)
    train(params, params.model(name))


def train(params: Params, settings: ModelSettings) -> None:
    """Trains on all devices; of several workers, the chief alone logs the run and writes the stage's outputs."""
    from tiny_imagenet.distribute import devices  # before TensorFlow: it sets environment variables for it

    # isort: split
    from tiny_imagenet.distribute import cluster
    from tiny_imagenet.tracking.runs import TrackedRun
    from tiny_imagenet.training.experiment import Folders, build_trainer, versions, write_results
    from tiny_imagenet.training.loop import LoopOptions

    name, training = settings.model, params.training
    strategy = devices.make_strategy(params.device, params.strategy, deterministic=training.deterministic)
    run = RunRecord(
        **settings.model_dump(),
        device=devices.device_name(strategy),
        versions=versions(),
        data_sha256=sha256_of(RECORDS / MANIFEST),
    )
    folders = Folders(RECORDS, ROOT / ".cache", ROOT / ".checkpoints")
    options = LoopOptions(params.evaluation.batch_size, training.checkpoint_seconds, training.memory_gb * 1e9)
    with cluster.watch(strategy):
        trainer = build_trainer(run, strategy, folders, params.evaluation.split, options)
        saved, stop = trainer.restore() or {}, StopRequest()  # until here there is nothing to save
        if cluster.is_chief(strategy):
            with TrackedRun(ROOT, run, stage=f"train@{name}", run_id=saved.get("run_id")) as tracked:
                tracked.log_inputs(RECORDS)
                run_epochs(trainer, tracked, stop, resumed=bool(saved))
                seconds = write_results(trainer, run, MODELS / name / "model.keras", METRICS / name)
                digest = sha256_of(MODELS / name / "model.keras")
                written = RunFile(
                    run_id=tracked.run_id, experiment=run.dataset, model_sha256=digest, train_seconds=seconds
                )
                write_json(MODELS / name / "run.json", written.model_dump())
                tracked.log_model(trainer.model, trainer.image_size)
            trainer.store.remove()
        else:
            trainer.run({}, on_epoch=[], on_steps=lambda _: None, stop=stop)
        cluster.finish(strategy)


def run_epochs(trainer: Trainer, tracked: TrackedRun, stop: StopRequest, *, resumed: bool) -> None:
    """Trains to the end; each epoch is logged, those before a resume too if the store lacks them."""
    name, progress = trainer.settings.model, trainer.progress
    if resumed:
        print(f"{name}: resuming from step {progress.step} in the same MLflow run, {tracked.run_id}", flush=True)
    for row in progress.history[tracked.logged_epochs() :]:
        tracked.log_epoch(row)
    tracked.monitor_system()
    with TrainingProgress(name, trainer.settings.epochs, trainer.steps_per_epoch, progress.step) as shown:
        on_epoch = [tracked.log_epoch, shown.epoch]
        trainer.run({"run_id": tracked.run_id}, on_epoch=on_epoch, on_steps=shown.steps, stop=stop)


if __name__ == "__main__":
    with stage_process("train"):
        main(sys.argv[1] if len(sys.argv) == 2 else "")
