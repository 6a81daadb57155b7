"""Stage train NAME: one model by its recipe, to models/NAME and metrics/NAME, and an MLflow run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tiny_imagenet.data.tfrecords import MANIFEST, load_manifest
from tiny_imagenet.files import sha256_of
from tiny_imagenet.lifecycle import StopRequest, stage_process
from tiny_imagenet.params import as_flat, describe, load_params
from tiny_imagenet.schema import Model, Params

RECORDS, MODELS, METRICS = Path("data/records"), Path("models"), Path("metrics")
ROOT = Path(os.environ.get("DVC_ROOT", "."))  # the main checkout, also in an experiment's temporary one


def main(name: str) -> None:
    """Trains a model of params.yaml, going on from the checkpoint that a killed run with the same inputs left."""
    params = load_params()
    load_manifest(RECORDS)
    chosen = params.model(name)
    train(params, chosen, describe(chosen, params.dataset_name))


def train(params: Params, chosen: Model, about: dict[str, object]) -> None:
    """Trains on all devices; of several workers the chief alone keeps the run and writes the stage's outputs."""
    from tiny_imagenet.training import devices  # sets what TensorFlow reads when it is imported

    # isort: split
    from tiny_imagenet.tracking.runs import Run, experiment_tags
    from tiny_imagenet.training import cluster
    from tiny_imagenet.training.experiment import build_trainer, train_along, train_in_run, versions, write_results

    name, deterministic = chosen.name, params.training.deterministic
    strategy = devices.make_strategy(params.device, params.strategy, deterministic=deterministic)
    digest = sha256_of(RECORDS / MANIFEST)
    about |= {"device": devices.device_name(strategy), "versions": versions()}
    with cluster.watch(strategy):
        trainer = build_trainer(
            chosen,
            about,
            strategy,
            data_digest=digest,
            checkpoints=ROOT / ".checkpoints",
            records=RECORDS,
            cache=ROOT / ".cache",
            eval_split=params.evaluation.split,
            eval_batch_size=params.evaluation.batch_size,
            checkpoint_seconds=params.training.checkpoint_seconds,
            memory_bytes=params.training.memory_gb * 1e9,
        )
        saved, stop = trainer.restore() or {}, StopRequest()  # until here there is nothing to save
        if cluster.is_chief(strategy):
            tags = experiment_tags(f"train@{name}", digest)
            with Run(ROOT, params.dataset_name, run_id=saved.get("run_id"), name=name, tags=tags) as run:
                run.log_inputs(as_flat(about), params.dataset_name, digest, str(RECORDS))
                train_in_run(trainer, name, run, stop, resumed=bool(saved))
                origin = {"run_id": run.run_id, "experiment": params.dataset_name}
                write_results(trainer, about, MODELS / name, METRICS / name, origin)
                run.log_model(trainer.model, trainer.image_size)
            trainer.store.remove()
        else:
            train_along(trainer, stop)
        cluster.finish(strategy)


if __name__ == "__main__":
    with stage_process("train"):
        main(sys.argv[1] if len(sys.argv) == 2 else "")
