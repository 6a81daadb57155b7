"""dvc.lock: the code and parameters of stages recorded through DVC, their outputs left as they were recorded."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_imagenet.core.errors import InputError

if TYPE_CHECKING:
    from dvc.dependency import Dependency
    from dvc.repo import Repo
    from dvc.stage import Stage

CODE = ("src/", "stages/")
_ABSENT = object()


def stages_of(root: Path) -> dict[str, list[str]]:
    """Returns for each stage of dvc.yaml the stages whose outputs it depends on."""
    with _open(root) as repo:
        graph = repo.index.graph
        return {stage.addressing: [other.addressing for other in graph.successors(stage)] for stage in graph}


def unrecorded_stages(root: Path) -> dict[str, set[str]]:
    """Returns the stages whose present code or parameters are not those in dvc.lock, and each one's such parameters."""
    from dvc.stage.serialize import to_single_stage_lockfile

    found = {}
    with _open(root) as repo, repo.lock:
        lock = _read_lock(repo)
        for stage in repo.index.stages:
            if _update(stage, lock):
                recorded, now = (
                    dict(_leaves(each.get("params", {}).get("params.yaml", {})))
                    for each in (lock.get(stage.name, {}), to_single_stage_lockfile(stage))
                )
                names = recorded.keys() | now.keys()
                found[stage.addressing] = {
                    name for name in names if recorded.get(name, _ABSENT) != now.get(name, _ABSENT)
                }
    return found


def stages_recorded_at(root: Path, checkout: Path) -> set[str]:
    """Returns the stages of whose code and parameters dvc.lock has the digests.

    Args:
        root: The project, whose dvc.lock counts.
        checkout: The code and parameters, with the dvc.yaml and .dvcignore of their revision. It gets that dvc.lock.
    """
    from dvc.stage.serialize import to_single_stage_lockfile

    if (root / "dvc.lock").exists():
        shutil.copy2(root / "dvc.lock", checkout)
    (checkout / ".dvc").mkdir(exist_ok=True)
    # A temporary folder: DVC must neither look for a git repository nor leave its site cache behind.
    with _open(checkout, {"core": {"no_scm": True, "site_cache_dir": str(checkout / ".dvc" / "site")}}) as repo:
        lock = _read_lock(repo)

        def is_recorded(stage: Stage) -> bool:
            entry, recorded = to_single_stage_lockfile(stage), lock[stage.name]
            # DVC's status passes over an input of dvc.lock that the revision's dvc.yaml lacks.
            has_all = all(entry.get(key) == recorded.get(key) for key in ("deps", "params"))
            return has_all and not any(dep.workspace_status() for dep in stage.deps if _is_code(dep))

        return {stage.name for stage in repo.index.stages if stage.name in lock and is_recorded(stage)}


def record(root: Path, addresses: Iterable[str]) -> list[str]:
    """Records the present code and parameters of stages in dvc.lock.

    Cached outputs, and dependencies that other stages made, keep the hashes that they have there: they need not be at
    hand. Outputs in git are hashed as they are.

    Returns:
        The stages whose entry changed.
    """
    with _open(root) as repo, repo.lock:
        stages = [stage for stage in repo.index.stages if stage.addressing in set(addresses)]
        lock = _read_lock(repo)
        changed = [stage for stage in stages if _update(stage, lock)]
        if changed:
            changed[0].dvcfile.dump_stages(changed, update_pipeline=False)
    return [stage.addressing for stage in changed]


def _update(stage: Stage, lock: Mapping[str, dict[str, Any]]) -> bool:
    """Hashes a stage's code and reads its parameters; returns whether its entry changes."""
    from dvc.stage.serialize import to_single_stage_lockfile

    for out in stage.outs:
        if out.exists and out.use_cache and out.hash_info and out.changed_checksum():
            raise InputError(out, f"is not the output that dvc.lock has of {stage.addressing}", "run `dvc checkout`")
        if not (out.exists or out.hash_info):
            raise InputError(out, f"is no recorded output of {stage.addressing}", "run `dvc repro`")
    for dep in stage.deps:
        if _is_code(dep) or not dep.hash_info:
            dep.save()
    for out in stage.outs:
        if out.exists and not (out.use_cache and out.hash_info):
            out.save()
    return bool(to_single_stage_lockfile(stage) != lock.get(stage.name, {}))


def _is_code(dep: Dependency) -> bool:
    from dvc.dependency import ParamsDependency

    return isinstance(dep, ParamsDependency) or str(dep.def_path).startswith(CODE)


def _read_lock(repo: Repo) -> dict[str, dict[str, Any]]:
    """Returns the entries of dvc.lock by the name of their stage."""
    from dvc.utils.serialize import load_yaml

    path = Path(repo.root_dir, "dvc.lock")
    return dict(load_yaml(path).get("stages", {})) if path.exists() else {}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the values that are no mappings, by dotted name."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _open(root: Path, config: dict[str, Any] | None = None) -> Repo:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        return Repo(str(root), config=config)
    except DvcException as error:
        raise InputError(root, f"DVC cannot read it ({error})", "run in a checkout") from None
