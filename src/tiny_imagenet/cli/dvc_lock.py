"""dvc.lock: the code and parameters of stages recorded through DVC, their outputs left as they were recorded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tiny_imagenet.core.errors import InputError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import Stage

CODE = ("src/", "stages/")


def stages_of(root: Path) -> dict[str, list[str]]:
    """Returns for each stage of dvc.yaml the stages whose outputs it depends on."""
    with _open(root) as repo:
        graph = repo.index.graph
        return {stage.addressing: [other.addressing for other in graph.successors(stage)] for stage in graph}


def unrecorded_stages(root: Path) -> set[str]:
    """Returns the stages whose present code or parameters are not those in dvc.lock."""
    with _open(root) as repo, repo.lock:
        return {stage.addressing for stage in repo.index.stages if _update(stage)}


def record(root: Path, addresses: Iterable[str]) -> list[str]:
    """Records the present code and parameters of stages in dvc.lock.

    Cached outputs, and dependencies that other stages made, keep the hashes that they have there: they need not be at
    hand. Outputs in git are hashed as they are.

    Returns:
        The stages whose entry changed.
    """
    with _open(root) as repo, repo.lock:
        stages = [stage for stage in repo.index.stages if stage.addressing in set(addresses)]
        changed = [stage for stage in stages if _update(stage)]
        if changed:
            changed[0].dvcfile.dump_stages(changed, update_pipeline=False)
    return [stage.addressing for stage in changed]


def _update(stage: Stage) -> bool:
    """Hashes a stage's code and reads its parameters; returns whether its entry changes."""
    from dvc.dependency import ParamsDependency
    from dvc.stage.serialize import to_single_stage_lockfile

    for out in stage.outs:
        if out.exists and out.use_cache and out.hash_info and out.changed_checksum():
            raise InputError(out, f"is not the output that dvc.lock has of {stage.addressing}", "run `dvc checkout`")
        if not (out.exists or out.hash_info):
            raise InputError(out, f"is no recorded output of {stage.addressing}", "run `dvc repro`")
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency) or str(dep.def_path).startswith(CODE) or not dep.hash_info:
            dep.save()
    for out in stage.outs:
        if out.exists and not (out.use_cache and out.hash_info):
            out.save()
    recorded = stage.dvcfile._lockfile.load().get("stages", {}).get(stage.name, {})
    return bool(to_single_stage_lockfile(stage) != recorded)


def _open(root: Path) -> Repo:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        return Repo(str(root))
    except DvcException as error:
        raise InputError(root, f"DVC cannot read it ({error})", "run in a checkout") from None
