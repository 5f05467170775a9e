"""Finding training data sets by name: the packages of this folder and entry points of the group `ltr.datasets`.

A data set is a module with `open_split(split: str) -> VideoDataset`, which raises a `UserError` where the split does
not exist or its files are not there. Its name (the package's, or the entry point's) stands before the colon in
`lasot:train`, its split behind it. No module is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from importlib.metadata import entry_points
from types import ModuleType

from ltr import dataset
from ltr.admin.errors import UsageError, UserError, unknown_name
from ltr.dataset.base import VideoDataset

ENTRY_POINT_GROUP = "ltr.datasets"
_NOT_DATASETS = {"rendering"}  # what the generated videos are drawn with


def list_datasets() -> list[str]:
    """Names of all data sets, sorted; nothing is imported."""
    return sorted(_modules())


def open_dataset(name_and_split: str) -> VideoDataset:
    """Opens a data set; annotations and images are read when asked for.

    Args:
        name_and_split: a name of `list_datasets`, a colon, and a split of that data set: `got10k:vottrain`.

    Raises:
        UsageError: no such data set or split, or no colon.
        UserError: its files are not there, or its module is broken.
    """
    name, colon, split = name_and_split.partition(":")
    if not (name and colon and split):
        raise UsageError(f"{name_and_split!r} names no training data: write <data set>:<split>, e.g. lasot:train")
    return _module(name).open_split(split)


def check_split(name: str, split: str, splits: Sequence[str]) -> None:
    """For `open_split`: refuses a split that is not among `splits`.

    Raises:
        UsageError: unknown split; near misses are shown.
    """
    if split not in splits:
        raise unknown_name(f"split of the data set {name!r}:", split, splits)


def _modules() -> dict[str, list[str]]:
    """Name -> modules that claim it."""
    modules: dict[str, list[str]] = {}
    for module in pkgutil.iter_modules(dataset.__path__):
        if module.ispkg and module.name not in _NOT_DATASETS:
            modules.setdefault(module.name, []).append(f"{dataset.__name__}.{module.name}")
    for point in entry_points(group=ENTRY_POINT_GROUP):
        # One package installed twice (a wheel over an editable install) announces itself twice.
        if point.value not in modules.setdefault(point.name, []):
            modules[point.name].append(point.value)
    return modules


def _module(name: str) -> ModuleType:
    modules = _modules()
    if name not in modules:
        raise unknown_name("training data set", name, modules)
    if len(modules[name]) > 1:
        raise UserError(f"data set {name!r} is claimed by {' and '.join(modules[name])}: uninstall one of them")
    try:
        module = importlib.import_module(modules[name][0])
    except Exception as error:  # a third party's module may fail in any way; the name must be in the message
        raise UserError(f"data set {name!r} ({modules[name][0]}) cannot be imported: {error!r}") from error
    if not callable(getattr(module, "open_split", None)):
        raise UserError(f"data set {name!r}: module {modules[name][0]} has no function open_split(split)")
    return module
