"""`tiny-imagenet unchanged BASE`: shows that the code's changes since a revision move no number, then records them.

Every stage runs in miniature at the revision and now: each model with all its epochs, on a few images. A stage whose
outputs are equal, and that of all stages before it, is recorded in dvc.lock with its present code.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate  # type: ignore[import-untyped]

from tiny_imagenet.cli.dvc_lock import record, stages_of, unrecorded_stages
from tiny_imagenet.cli.equal_outputs import Difference, compare_stage
from tiny_imagenet.cli.miniature import (
    Miniature,
    check_out_revision,
    code_digest,
    copy_working_tree,
    write_miniature_archive,
)
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.params import load_params

HELP = "show that the code's changes since BASE move no number, and record them in dvc.lock"
EPILOG = (
    "Uses the archive that TINY_IMAGENET_ARCHIVE names or data/archive.zip, else the built-in digits. "
    "Needs neither models nor metrics. Exit status 1 if something differs."
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
        base, now = (Miniature(Path(folder) / name) for name in ("base", "now"))
        check_out_revision(root, arguments.base, base.folder)
        copy_working_tree(root, now.folder)
        models = _models(base, now, arguments.model)
        archive = write_miniature_archive(_archive(root), Path(folder) / "miniature.zip")
        for each in (base, now):
            each.write_params(archive, models)
        found = _compare(base, now, models)
    print(_table(found))
    equal = _with_equal_inputs(root, {name: _is_equal(each, arguments.accept_pages) for name, each in found.items()})
    if code_digest(root) != compared:
        raise PipelineError("the working tree", "changed while it was compared", "run this again")
    if not arguments.dry:
        recorded = record(root, equal)
        print(f"\ndvc.lock: recorded {', '.join(recorded) if recorded else 'nothing: it is up to date'}")
    if len(equal) < len(found):
        raise PipelineError("outputs", "differ, see above", "run `dvc repro` for the stages that differ")
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
    for path in (os.environ.get("TINY_IMAGENET_ARCHIVE"), root / "data" / "archive.zip"):
        if path and Path(path).is_file():
            return Path(path)
    return None


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


def _with_equal_inputs(root: Path, equal: dict[str, bool]) -> list[str]:
    """Returns the stages that are equal, as are all that they need; one not compared counts if it is as recorded."""
    needs, unrecorded = stages_of(root), unrecorded_stages(root)

    def holds(address: str) -> bool:
        return equal.get(address, address not in unrecorded) and all(holds(other) for other in needs.get(address, []))

    return [address for address in equal if holds(address)]


def _table(found: dict[str, Difference]) -> str:
    rows = [(name, each.compared, ", ".join(each.differing) or "equal", each.note) for name, each in found.items()]
    return "\n" + str(tabulate(rows, ("stage", "outputs", "result", ""), tablefmt="simple"))
