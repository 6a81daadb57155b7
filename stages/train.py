"""Stage train NAME: trains one model by its recipe; writes models/NAME, metrics/NAME and an MLflow run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tiny_imagenet.core.disk import require_writable
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.process import StopRequest, stage_process
from tiny_imagenet.core.progress import TrainingProgress
from tiny_imagenet.core.run_record import RunRecord
from tiny_imagenet.core.schema import ModelSettings, Params
from tiny_imagenet.dataset.manifest import MANIFEST, Manifest, load_manifest

if TYPE_CHECKING:
    from tiny_imagenet.tracking.runs import TrackedRun
    from tiny_imagenet.training.loop import Trainer

RECORDS, MODELS, METRICS = Path("data/records"), Path("models"), Path("metrics")
ROOT = Path(os.environ.get("DVC_ROOT", "."))  # the main checkout, also for an experiment in a temporary one


def main(name: str) -> None:
    """Trains a model of params.yaml; resumes from the checkpoint of an interrupted run with the same inputs."""
    params = load_params()
    manifest = load_manifest(RECORDS)  # an error in the records is reported before the import of TensorFlow
    train(params, params.model(name), manifest)


def train(params: Params, settings: ModelSettings, manifest: Manifest) -> None:
    """Trains on all devices; of several workers, only the chief tracks the run and writes the outputs."""
    from tiny_imagenet.distribute import devices  # before TensorFlow: it sets environment variables for it

    # isort: split
    from tiny_imagenet.distribute import cluster
    from tiny_imagenet.tracking.runs import TrackedRun
    from tiny_imagenet.training.experiment import Folders, build_trainer, versions, write_results
    from tiny_imagenet.training.loop import LoopOptions

    training, name = params.training, settings.model
    tf32 = settings.precision == "tf32"
    strategy = devices.make_strategy(params.device, params.strategy, deterministic=training.deterministic, tf32=tf32)
    device, data = devices.device_name(strategy), sha256_of(RECORDS / MANIFEST)
    record = RunRecord(**settings.model_dump(), device=device, versions=versions(), data_sha256=data)
    folders = Folders(RECORDS, ROOT / ".cache", ROOT / ".checkpoints")
    if cluster.is_chief(strategy):
        require_writable(MODELS / name, METRICS / name, folders.checkpoints)
    options = LoopOptions(params.evaluation.batch_size, training.checkpoint_seconds, training.memory_gb * 1e9)
    with cluster.watch(strategy):
        trainer = build_trainer(record, strategy, folders, params.evaluation.split, options)
        saved, stop = trainer.restore() or {}, StopRequest()  # before a state exists, a signal ends the process
        if cluster.is_chief(strategy):
            with TrackedRun(ROOT, record, stage=f"train@{name}", run_id=saved.get("run_id")) as run:
                run.log_inputs(RECORDS)
                run_epochs(trainer, run, stop, resumed=bool(saved))
                result = write_results(trainer, record, manifest, MODELS / name, METRICS / name)
                seconds = sum(row["seconds"] for row in trainer.progress.history)
                run.log_result(result.model_sha256, seconds, result.costs)
                run.log_model(MODELS / name / "model.keras")
            trainer.store.remove()
        else:
            trainer.run({}, on_epoch=[], on_steps=lambda _: None, stop=stop)
        cluster.finish(strategy)


def run_epochs(trainer: Trainer, run: TrackedRun, stop: StopRequest, *, resumed: bool) -> None:
    """Trains to the last epoch; writes and logs each, after a resume also the earlier ones, for plots that are live."""
    from tiny_imagenet.training.experiment import write_history

    name, progress = trainer.settings.model, trainer.progress
    if trainer.settings.debug:
        print(f"{name}: debug run ({trainer.settings.debug}): its results are marked and not compared", flush=True)
    if resumed:
        print(f"{name}: resuming from step {progress.step} in the same MLflow run, {run.run_id}", flush=True)
        write_history(progress.history, METRICS / name)
    for row in progress.history[run.logged_epochs() :]:
        run.log_epoch(row)
    run.monitor_system()
    with TrainingProgress(name, trainer.settings.epochs, trainer.steps_per_epoch, progress.step) as bar:
        on_epoch = [lambda _: write_history(progress.history, METRICS / name), run.log_epoch, bar.epoch]
        trainer.run({"run_id": run.run_id}, on_epoch=on_epoch, on_steps=bar.steps, stop=stop)


if __name__ == "__main__":
    with stage_process("train"):
        main(sys.argv[1] if len(sys.argv) == 2 else "")
