"""Which train settings there are: a scan of ``ltr/train_settings``, entry points, and dotted module names."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ltr.admin.errors import UsageError, UserError, unknown_name

if TYPE_CHECKING:
    from ltr.trainers.experiment import Experiment  # brings torch, which finding a name does not need

PACKAGE = "ltr.train_settings"
GROUP = "ltr.train_settings"


@dataclass(frozen=True)
class SettingsEntry:
    """A package of train settings.

    Attributes:
        name: The name on the command line.
        package: Dotted name of the package whose modules are the settings.
        origin: Where it comes from, for messages.
    """

    name: str
    package: str
    origin: str


@dataclass(frozen=True)
class TrainSetting:
    """One train setting: two functions.

    Attributes:
        settings: Returns the frozen settings dataclass.
        build: Makes the experiment from (changed) settings.
    """

    settings: Callable[[], Any]
    build: Callable[[Any], Experiment]


def list_modules() -> dict[str, list[SettingsEntry]]:
    """Packages of train settings by name, nothing imported but ``ltr.train_settings`` itself.

    More than one entry under a name is a clash, which is an error only when the name is asked for.
    """
    entries: dict[str, list[SettingsEntry]] = {}
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg:
            dotted = f"{PACKAGE}.{module.name}"
            entries.setdefault(module.name, []).append(SettingsEntry(module.name, dotted, dotted))
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        where = f"{point.value} (entry point{f' of {point.dist.name}' if point.dist else ''})"
        known = entries.setdefault(point.name, [])
        if all(entry.package != point.value for entry in known):
            known.append(SettingsEntry(point.name, point.value, where))
    return dict(sorted(entries.items()))


def find_module(name: str) -> SettingsEntry:
    """The package of train settings ``name``: a known name, or the dotted name of any package.

    Raises:
        UsageError: No such name (near misses are shown), or two packages claim it.
    """
    known = list_modules()
    if name in known:
        if len(known[name]) > 1:
            raise UsageError(
                f"train module '{name}' is claimed by {' and by '.join(e.origin for e in known[name])}; "
                "uninstall one, or give the dotted name of its package"
            )
        return known[name][0]
    if "." in name or (name.isidentifier() and importlib.util.find_spec(name) is not None):
        return SettingsEntry(name, name, name)
    raise unknown_name("train module", name, known, "The dotted name of a package is taken too.")


def list_settings(entry: SettingsEntry) -> list[str]:
    """Names of the settings of a package: its modules that define ``settings``; none of them is imported.

    Raises:
        UsageError: The package cannot be found.
        UserError: It fails on being imported.
    """
    package = _import(entry.package, entry)
    if not hasattr(package, "__path__"):
        raise UserError(f"train module '{entry.name}' ({entry.origin}) is not a package of settings modules")
    names = []
    for module in pkgutil.iter_modules(package.__path__):
        spec = module.module_finder.find_spec(module.name, None)  # type: ignore[call-arg]
        if not module.ispkg and spec is not None and _defines_settings(spec.origin):
            names.append(module.name)
    return sorted(names)


def load_setting(module: str, setting: str) -> TrainSetting:
    """Imports one train setting.

    Raises:
        UsageError: The module or the setting does not exist.
        UserError: It fails on being imported, or lacks ``settings`` or ``build``.
    """
    entry = find_module(module)
    names = list_settings(entry)
    if setting not in names:
        raise unknown_name(f"train setting of '{module}'", setting, names)
    loaded = _import(f"{entry.package}.{setting}", entry)
    for function in ("settings", "build"):
        if not callable(getattr(loaded, function, None)):
            raise UserError(f"{loaded.__name__} has no function {function}(): see docs/training.md")
    return TrainSetting(loaded.settings, loaded.build)


def _import(dotted: str, entry: SettingsEntry) -> ModuleType:
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name and (dotted == error.name or dotted.startswith(f"{error.name}.")):
            raise UsageError(
                f"train module '{entry.name}': there is no module '{error.name}' on the Python path"
            ) from error
        raise UserError(
            f"train module '{entry.name}' ({entry.origin}) needs '{error.name}', which is not installed"
        ) from error
    except Exception as error:
        raise UserError(
            f"train module '{entry.name}' ({entry.origin}) is broken: importing {dotted} fails with "
            f"{type(error).__name__}: {error}"
        ) from error


def _defines_settings(origin: str | None) -> bool:
    """Whether a source file has ``settings`` at its top level, defined, assigned or imported."""
    if origin is None or not origin.endswith(".py"):
        return origin is not None  # compiled: nothing to read, so let the import decide
    try:
        tree = ast.parse(Path(origin).read_bytes())
    except SyntaxError:
        return True  # listed, so that asking for it shows the error
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == "settings":
            return True
        names = [a.asname or a.name for a in node.names] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if "settings" in names:
            return True
    return False
