"""Finding net builders by name.

A builder is a function that returns an `nn.Module` and takes the net's hyper-parameters as keywords. The
builder `edcf_siamfc` is the function of that name in the module of `ltr.models.tracking` whose name is the
longest prefix of it (`edcf`, or `edcf_siamfc` if there is one; `dimp18` is in `dimp`), and must be listed in
that module's `BUILDERS`. Other packages announce theirs with entry points of the group `ltr.models` (builder name ->
module that has the function and lists it in `BUILDERS`). A checkpoint can only name builders that are
registered so; nothing in it is imported or executed.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
import re
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ltr.admin.errors import UserError, unknown_name

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "ltr.models"
_PACKAGE = "ltr.models.tracking"


@dataclass(frozen=True)
class NetSpec:
    """How to build a net: a registered builder and its arguments (JSON values)."""

    builder: str
    kwargs: dict[str, Any] = field(default_factory=dict)


def build_net(spec: NetSpec) -> nn.Module:
    """Builds the net that `spec` describes, with random weights.

    Raises:
        UserError: no such builder, or it does not take these arguments or their values.
    """
    builder = getattr(_module_of(spec.builder), spec.builder)
    try:
        inspect.signature(builder).bind(**spec.kwargs)
    except TypeError as error:
        raise UserError(f"net builder {spec.builder!r} does not accept its arguments: {error}") from error
    try:
        return builder(**spec.kwargs)
    except ValueError as error:
        raise UserError(f"net {spec.builder!r} cannot be built: {error}") from error


def list_builders() -> list[str]:
    """Names of all builders, sorted. Imports our own nets, and none of other packages."""
    modules = (importlib.import_module(f"{_PACKAGE}.{name}") for name in _own_modules())
    own = {builder for module in modules for builder in _builders(module)}
    return sorted(own | {point.name for point in entry_points(group=ENTRY_POINT_GROUP)})


def net_modules() -> list[ModuleType]:
    """All modules of nets: ours, then those of other packages that can be imported."""
    modules = [importlib.import_module(f"{_PACKAGE}.{name}") for name in _own_modules()]
    for value in sorted({point.value for point in entry_points(group=ENTRY_POINT_GROUP)}):
        try:
            modules.append(importlib.import_module(value))
        except Exception as error:  # another package may fail in any way, and nobody has asked for it by name
            log.warning("net module %s cannot be imported and is left out: %r", value, error)
    return modules


def _module_of(builder: str) -> ModuleType:
    # What follows a module's name is a digit or an underscore: `dimp18`, `dimp_small`, but not `dimpler`.
    prefixes = [name for name in _own_modules() if re.fullmatch(rf"{re.escape(name)}([0-9_].*)?", builder)]
    if prefixes:
        module = importlib.import_module(f"{_PACKAGE}.{max(prefixes, key=len)}")
        if builder in _builders(module):
            return module
    points = {point.value: point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == builder}
    if len(points) > 1:
        claimants = " and ".join(sorted(points))
        raise UserError(f"net builder {builder!r} is claimed by {claimants}: uninstall one of them")
    for value in points:
        return _foreign_module(builder, value)
    raise unknown_name("net builder", builder, list_builders())


def _foreign_module(builder: str, value: str) -> ModuleType:
    try:
        module = importlib.import_module(value)
    except Exception as error:  # another package may fail in any way; the message must name it
        raise UserError(f"net builder {builder!r}: module {value} cannot be imported: {error!r}") from error
    if builder not in _builders(module):
        raise UserError(f"net builder {builder!r}: module {value} does not list it in BUILDERS")
    return module


def _own_modules() -> list[str]:
    package = importlib.import_module(_PACKAGE)
    return [found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_")]


def _builders(module: ModuleType) -> tuple[str, ...]:
    return tuple(getattr(module, "BUILDERS", ()))
