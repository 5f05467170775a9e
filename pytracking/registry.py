"""Finding trackers and their parameters by name; nothing is imported before it is asked for. Torch-free.

A tracker is a module with `get_tracker_class()` (which imports the class when called). It is found as

- a module or package in `pytracking/tracker/`, its parameters as modules in `pytracking/parameter/<name>/`;
- an entry point of the group `pytracking.trackers` in any installed package: `name = "their.module"`. Its
  parameters are the modules of the package that it names as `PARAMETERS = "their.package"`; without that,
  the parameter `default` comes from a function `parameters()` of the tracker's module.

Entry points of the group `pytracking.parameters` (`tracker = "their.package"`) add parameters to any tracker.
A parameter is a module with `parameters()`. Names that begin with an underscore are not listed.

In place of a class, a tracker's module may offer `ALIASES`: parameter name -> "tracker:parameter".
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from ltr.admin.errors import UserError, unknown_name

logger = logging.getLogger(__name__)

TRACKER_GROUP = "pytracking.trackers"
PARAMETER_GROUP = "pytracking.parameters"
_TRACKERS = "pytracking.tracker"
_PARAMETERS = "pytracking.parameter"
_RESERVED = {"base"}
_OWN = "pytracking"


@dataclass(frozen=True)
class TrackerEntry:
    """A registered name.

    Attributes:
        name: the tracker's name.
        module: full name of its module.
        origin: where it comes from: "pytracking", or the package that announced it with its version.
        broken: why it cannot be used, or None.
    """

    name: str
    module: str
    origin: str
    broken: str | None = None


def list_trackers() -> list[str]:
    """Names of all registered trackers, sorted, broken ones included. Imports none of them."""
    return sorted(tracker_entries())


def tracker_entries(probe: bool = False) -> dict[str, TrackerEntry]:
    """All registered trackers by name.

    Args:
        probe: import each tracker's module (not its class) to see whether that works; without it only a name
            that two packages claim is known to be broken.
    """
    found: dict[str, list[TrackerEntry]] = {}
    for module in _modules_of(_TRACKERS):
        if module not in _RESERVED:
            found.setdefault(module, []).append(TrackerEntry(module, f"{_TRACKERS}.{module}", _OWN))
    for point in entry_points(group=TRACKER_GROUP):
        claims = found.setdefault(point.name, [])
        # A package that is installed twice (a wheel over an editable install) announces itself twice.
        if point.value not in [claim.module for claim in claims]:
            claims.append(TrackerEntry(point.name, point.value, _origin(point)))
    entries = {name: _single(claims) for name, claims in found.items()}
    return {name: _probed(entry) for name, entry in entries.items()} if probe else entries


def list_parameters(tracker: str) -> list[str]:
    """Names of a tracker's parameters, sorted. Imports the tracker's module, but not its class.

    Raises:
        UserError: unknown or broken tracker.
    """
    return sorted(_parameters(tracker))


def resolve(tracker: str, parameter: str = "default") -> tuple[str, str]:
    """The tracker and parameter that a pair of names stands for: the same, or what an alias names.

    Raises:
        UserError: unknown or broken tracker, unknown parameter of an alias.
    """
    seen: list[str] = []
    while (aliases := _aliases(_entry(tracker))) is not None:
        if tracker in seen:
            raise UserError(f"the tracker aliases {' -> '.join([*seen, tracker])} lead in a circle")
        seen.append(tracker)
        if parameter not in aliases:
            raise unknown_name(f"{tracker} parameter", parameter, aliases)
        tracker, _, parameter = str(aliases[parameter]).partition(":")
        parameter = parameter or "default"
    return tracker, parameter


def tracker_class(name: str, parameter: str = "default") -> type:
    """A tracker's class.

    Args:
        name: one of `list_trackers()`.
        parameter: decides the class where `name` is an alias.

    Raises:
        UserError: unknown name, a name that is claimed twice, or a module that does not work; names the
            package it comes from.
    """
    entry = _entry(resolve(name, parameter)[0])
    what = _described(entry)
    cls = _called(_function(_module(entry.module, what), "get_tracker_class", what), what)
    if not isinstance(cls, type):
        raise UserError(f"{what} is broken: get_tracker_class() returned {cls!r}, not a class")
    return cls


def load_parameters(tracker: str, parameter: str = "default") -> Any:
    """What the `parameters()` of a parameter returns: ours a frozen dataclass, others an attribute bag.

    Raises:
        UserError: unknown tracker or parameter (near misses are shown), or a module that does not work.
    """
    tracker, parameter = resolve(tracker, parameter)
    available = _parameters(tracker)
    kind = f"{tracker} parameter"
    if parameter not in available:
        raise unknown_name(kind, parameter, available)
    modules = available[parameter]
    if len(modules) > 1:
        raise UserError(f"{kind} {parameter!r} is claimed by {' and '.join(modules)}: uninstall one of them")
    what = f"parameter {parameter!r} of tracker {tracker!r} (module {modules[0]})"
    return _called(_function(_module(modules[0], what), "parameters", what), what)


def _single(claims: list[TrackerEntry]) -> TrackerEntry:
    if len(claims) == 1:
        return claims[0]
    claimants = " and ".join(f"{claim.module} ({claim.origin})" for claim in claims)
    return TrackerEntry(
        claims[0].name,
        claims[0].module,
        " and ".join(claim.origin for claim in claims),
        f"the name is claimed by {claimants}: uninstall one of them",
    )


def _probed(entry: TrackerEntry) -> TrackerEntry:
    if entry.broken:
        return entry
    what = _described(entry)
    try:
        module = _module(entry.module, what)
        if not hasattr(module, "ALIASES"):
            _function(module, "get_tracker_class", what)
    except UserError as error:
        return replace(entry, broken=str(error))
    return entry


def _origin(point: EntryPoint) -> str:
    distribution = point.dist
    return f"{distribution.name} {distribution.version}" if distribution else point.value.partition(".")[0]


def _described(entry: TrackerEntry) -> str:
    return f"tracker {entry.name!r} ({entry.origin}, module {entry.module})"


def _entry(tracker: str) -> TrackerEntry:
    entries = tracker_entries()
    if tracker not in entries:
        raise unknown_name("tracker", tracker, entries)
    entry = entries[tracker]
    if entry.broken:
        raise UserError(f"tracker {tracker!r} cannot be used: {entry.broken}")
    return entry


def _aliases(entry: TrackerEntry) -> Mapping[str, str] | None:
    return getattr(_module(entry.module, _described(entry)), "ALIASES", None)


def _module(name: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except UserError:
        raise
    except Exception as error:  # another package's code may fail in any way; the name must be in the message
        raise UserError(f"{what} cannot be imported: {type(error).__name__}: {error}") from error


def _function(module: ModuleType, name: str, what: str) -> Callable[[], Any]:
    function = getattr(module, name, None)
    if not callable(function):
        raise UserError(f"{what} is broken: it has no function {name}()")
    return function


def _called(function: Callable[[], Any], what: str) -> Any:
    try:
        return function()
    except UserError:
        raise
    except Exception as error:  # as above
        name = getattr(function, "__name__", "function")
        raise UserError(f"{what} is broken: {name}() failed: {type(error).__name__}: {error}") from error


def _parameters(tracker: str) -> dict[str, list[str]]:
    """Parameter name -> modules that claim it."""
    entry = _entry(tracker)
    module = _module(entry.module, _described(entry))
    aliases = _aliases(entry)
    if aliases is not None:
        return {name: [entry.module] for name in aliases}
    packages = [f"{_PARAMETERS}.{tracker}"] if entry.origin == _OWN else []
    if hasattr(module, "PARAMETERS"):
        packages.append(str(module.PARAMETERS))
    packages += [point.value for point in entry_points(group=PARAMETER_GROUP) if point.name == tracker]
    found: dict[str, list[str]] = {}
    for package in dict.fromkeys(packages):
        for name in _listed(package, tracker):
            found.setdefault(name, []).append(f"{package}.{name}")
    if "default" not in found and hasattr(module, "parameters"):
        found["default"] = [entry.module]
    return found


def _listed(package: str, tracker: str) -> Iterable[str]:
    """Modules of a package of parameters; one that cannot be imported must not take the others away."""
    try:
        return _modules_of(package)
    except Exception as error:  # parent packages are imported on the way, and may be another's
        logger.warning("parameters of tracker %r in %s cannot be listed: %r", tracker, package, error)
        return ()


def _modules_of(package: str) -> list[str]:
    # The package itself is imported, none of its modules: some packages add folders to their __path__.
    names = (module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__))
    return [name for name in names if not name.startswith("_")]
