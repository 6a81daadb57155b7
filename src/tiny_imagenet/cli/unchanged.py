"""`tiny-imagenet unchanged BASE`: shows that the code's changes since a revision move no number, then records them.

Every stage runs in miniature at the revision and now: each model with all its epochs, on a few images. A stage whose
outputs are equal, and those of all stages before it, is recorded in dvc.lock with its present code, if its code at the
revision is that which dvc.lock has.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate  # type: ignore[import-untyped]

from tiny_imagenet.cli.dvc_lock import record, stages_of, stages_recorded_at, unrecorded_stages
from tiny_imagenet.cli.equal_outputs import Difference, compare_stage
from tiny_imagenet.cli.miniature import (
    Miniature,
    check_out_revision,
    code_digest,
    copy_code,
    hidden_parameters,
    write_miniature_archive,
)
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.params import load_params

VARIABLE = "TINY_IMAGENET_ARCHIVE"
Reason = tuple[str, str]  # what is wrong, what to do
HELP = "show that the code's changes since BASE move no number, and record them in dvc.lock"
EPILOG = (
    "Uses the archive that TINY_IMAGENET_ARCHIVE names or data/archive.zip, else the built-in digits. "
    "Needs neither models nor metrics. BASE must be the code of dvc.lock, unless --dry is given. "
    "Exit status 1 if something differs."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("base", metavar="BASE", help="the revision to compare with, such as main or HEAD~1")
    parser.add_argument("--model", nargs="+", metavar="MODEL", help="only these models; default: all in both revisions")
    text = "record the report although the words of its pages (.md, .html) differ, if its data and figures are equal"
    parser.add_argument("--accept-pages", action="store_true", help=text)
    parser.add_argument("--dry", action="store_true", help="compare, but leave dvc.lock as it is")


def run(arguments: argparse.Namespace) -> int:
    """Compares all stages, prints the table, and records those that are equal."""
    root = Path()
    compared = code_digest(root)
    with TemporaryDirectory(prefix="unchanged-") as folder:
        archive = write_miniature_archive(_archive(root), Path(folder) / "miniature.zip")
        base, now = (Miniature(Path(folder) / name) for name in ("base", "now"))
        checkout = Path(folder) / "checkout"
        check_out_revision(root, arguments.base, checkout)
        copy_code(checkout, base.folder)
        copy_code(root, now.folder)
        models = _models(base, now, arguments.model)
        for each in (base, now):
            each.write_params(archive, models)
        found = _compare(base, now, models)
        print(_table(found))
        if code_digest(root) != compared:
            raise PipelineError("the working tree", "changed while it was compared", "run this again")
        equal = {name: _is_equal(each, arguments.accept_pages) for name, each in found.items()}
        obstacles = {} if arguments.dry else _record(root, checkout, equal, models)
    if not all(equal.values()):
        raise PipelineError("outputs", "differ, see above", "run `dvc repro` for the stages that differ")
    for reason in obstacles.values():
        raise InputError(", ".join(name for name, each in obstacles.items() if each == reason), *reason)
    return 0


def _models(base: Miniature, now: Miniature, wanted: list[str] | None) -> list[str]:
    """Returns the models to compare, which both revisions have."""
    known = [name for name in load_params(now.folder / "params.yaml").models if name in base.params()["models"]]
    for name in wanted or []:
        if name not in known:
            raise InputError(f"models.{name}", "is not in both revisions", f"choose among {', '.join(known)}")
    if not (wanted or known):
        raise InputError("models", "the revisions have none in common", "name another BASE")
    return wanted or known


def _archive(root: Path) -> Path | None:
    """Returns the archive to take images from; None: the built-in digits."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else root / "data" / "archive.zip"
    if named and not path.is_file():
        raise InputError(f"{VARIABLE}={named}", "no such file", "correct the path, or unset the variable")
    return path if path.is_file() else None


def _compare(base: Miniature, now: Miniature, models: list[str]) -> dict[str, Difference]:
    """Runs the stages of both, each beside the other, and compares their outputs; ends where a common input differs."""
    found: dict[str, Difference] = {}
    steps = [*(("fetch", ""), ("preprocess", "")), *((stage, m) for m in models for stage in ("train", "evaluate"))]
    with ThreadPoolExecutor(2) as pool:
        for stage, model in [*steps, ("report", "")]:
            if stage == "report":
                for each in (base, now):
                    each.forget_times(models)
            print(f"{stage} {model}".strip(), flush=True)
            address = f"{stage}@{model}" if model else stage
            runs = [pool.submit(tree.run, stage, *filter(None, [model])) for tree in (base, now)]
            runs[0].result()
            failure = runs[1].exception()
            if isinstance(failure, PipelineError):
                found[address] = Difference(0, ["failed"], str(failure))
            else:
                runs[1].result()
                found[address] = compare_stage(stage, model, base.folder, now.folder)
            if found[address].differing and stage in ("fetch", "preprocess"):
                break
    return found


def _is_equal(difference: Difference, accept_pages: bool) -> bool:
    pages = {name for name in difference.differing if name.endswith((".md", ".html"))}
    return not set(difference.differing) - (pages if accept_pages else set())


def _record(root: Path, checkout: Path, equal: dict[str, bool], models: list[str]) -> dict[str, Reason]:
    """Records the stages that are equal, as are all that they need; returns what else kept one from being recorded."""
    needs, reasons = stages_of(root), _reasons(root, checkout, equal, models)

    def obstacles(address: str) -> set[str]:
        own = {address} if address in reasons or not equal.get(address, True) else set()
        return own.union(*(obstacles(other) for other in needs.get(address, [])))

    found = {address: obstacles(address) for address in equal}
    recorded = record(root, [address for address, each in found.items() if not each])
    print(f"\ndvc.lock: recorded {', '.join(recorded) or 'nothing'}")
    return {address: reason for address, reason in reasons.items() if address in set().union(*found.values())}


def _reasons(root: Path, checkout: Path, compared: Collection[str], models: list[str]) -> dict[str, Reason]:
    """Returns the stages that differ from dvc.lock and of which the comparison does not prove that this is harmless."""
    reasons, at_base = {}, stages_recorded_at(root, checkout)
    for address, parameters in unrecorded_stages(root).items():
        hidden = ", ".join(hidden_parameters(parameters, models))
        if address not in compared:
            reasons[address] = ("not as in dvc.lock, and were not compared", "leave out --model, or run `dvc repro`")
        elif hidden:
            reasons[address] = (f"{hidden} not as in dvc.lock, which no miniature shows", "run `dvc repro`")
        elif address not in at_base:
            todo = "name the BASE that they are of, or run `dvc repro`"
            reasons[address] = ("dvc.lock has other code or parameters than BASE", todo)
    return reasons


def _table(found: dict[str, Difference]) -> str:
    rows = [(name, each.compared, ", ".join(each.differing) or "equal", each.note) for name, each in found.items()]
    return "\n" + str(tabulate(rows, ("stage", "outputs", "result", ""), tablefmt="simple"))
