"""Finding data set adapters by name: the modules of this folder and entry points `pytracking.datasets`.

An adapter is a module with `load(path: Path | None) -> SequenceList` and `PATH_KEY: str | None`: the key of
its folder in `local.toml`, or None for data that need no files. Its name (the file's, or the entry
point's) is the data set's. No adapter is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from os import PathLike
from pathlib import Path
from types import ModuleType

from ltr.admin.errors import UsageError, UserError, unknown_name
from ltr.admin.paths import dataset_path
from pytracking.evaluation import datasets
from pytracking.evaluation.sequence import SequenceList

ENTRY_POINT_GROUP = "pytracking.datasets"
_NOT_ADAPTERS = {"registry"}  # and every module whose name starts with an underscore


def list_datasets() -> list[str]:
    """Names of all data sets, sorted; nothing is imported."""
    return sorted(_modules())


def get_dataset(name: str, path: str | PathLike[str] | None = None) -> SequenceList:
    """Load the sequences of a data set (annotations and file names; images are read when asked for).

    Args:
        name: One of `list_datasets()`.
        path: Its folder; None takes it from `local.toml`.

    Returns:
        At least one sequence, names unique.

    Raises:
        UserError: Unknown name, path not set or wrong, faults in the files.
    """
    adapter = _adapter(name)
    key = adapter.PATH_KEY
    if key is None:
        if path is not None:
            raise UsageError(f"data set {name!r} needs no files: leave the path out")
        sequences = adapter.load(None)
    else:
        sequences = adapter.load(
            _existing(Path(path).expanduser() if path is not None else _configured(key), name)
        )
    _check_names(sequences, name)
    return sequences


def _modules() -> dict[str, list[str]]:
    """Name -> modules that claim it."""
    modules: dict[str, list[str]] = {}
    for module in pkgutil.iter_modules(datasets.__path__):
        if not module.name.startswith("_") and module.name not in _NOT_ADAPTERS:
            modules.setdefault(module.name, []).append(f"{datasets.__name__}.{module.name}")
    for point in entry_points(group=ENTRY_POINT_GROUP):
        # One package installed twice (a wheel over an editable install) announces itself twice.
        if point.value not in modules.setdefault(point.name, []):
            modules[point.name].append(point.value)
    return modules


def _adapter(name: str) -> ModuleType:
    modules = _modules()
    if name not in modules:
        raise unknown_name("data set", name, modules)
    if len(modules[name]) > 1:
        raise UserError(
            f"data set name {name!r} is claimed by {' and '.join(modules[name])}: uninstall one of them"
        )
    try:
        adapter = importlib.import_module(modules[name][0])
    except Exception as error:  # a third party's module may fail in any way; the name must be in the message
        raise UserError(f"data set {name!r} ({modules[name][0]}) cannot be imported: {error!r}") from error
    missing = [attribute for attribute in ("load", "PATH_KEY") if not hasattr(adapter, attribute)]
    if missing:
        raise UserError(f"data set {name!r}: module {modules[name][0]} lacks {' and '.join(missing)}")
    return adapter


def _configured(key: str) -> Path:
    try:
        return dataset_path(key)
    except UserError as error:
        raise type(error)(f"{error} (or give the folder with --dataset_path)") from error


def _existing(path: Path, name: str) -> Path:
    if not path.exists():
        raise UserError(f"data set {name!r}: {path} does not exist; correct the path")
    return path


def _check_names(sequences: SequenceList, dataset: str) -> None:
    if not sequences:
        raise UserError(f"data set {dataset!r} has no sequences")
    seen: set[str] = set()
    for sequence in sequences:
        # Compared without case: on some systems Girl.txt and girl.txt are one file.
        if sequence.name.lower() in seen:
            raise UserError(
                f"data set {dataset!r} has two sequences called {sequence.name!r}; their results would "
                "overwrite each other: rename one"
            )
        seen.add(sequence.name.lower())
