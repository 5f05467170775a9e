"""Which of our nets a checkpoint of the official code holds.

Official checkpoints name the function that built their net, such as `dimpnet18`. A module of nets that has the
same net declares it: `OFFICIAL = {"dimpnet18": OfficialNet(NetSpec("dimp18"), ...)}`. There is no list beside
these. Modules of other packages are asked too, found by the entry points of their builders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ltr.admin.errors import UserError, unknown_name
from ltr.models.registry import NetSpec, net_modules


@dataclass(frozen=True)
class OfficialNet:
    """A net of the official code and ours that computes the same.

    Attributes:
        spec: our net.
        arguments: arguments of the official constructor that change what the net computes though no name and no
            shape in the file shows them -> the value with which it is `spec`.
        defaults: the official defaults of these where they are others; they hold where the file says nothing.
    """

    spec: NetSpec
    arguments: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


def official_nets() -> dict[str, OfficialNet]:
    """Name of the official constructor -> the net; imports the modules of all nets.

    Raises:
        UserError: two modules claim the same name.
    """
    nets: dict[str, OfficialNet] = {}
    claimants: dict[str, str] = {}
    for module in net_modules():
        for name, net in getattr(module, "OFFICIAL", {}).items():
            if name in nets:
                raise UserError(
                    f"the official net {name!r} is claimed by {claimants[name]} and {module.__name__}: "
                    "uninstall one of them"
                )
            nets[name], claimants[name] = net, module.__name__
    return nets


def official_spec(constructor: str, arguments: Mapping[str, Any]) -> NetSpec:
    """Our net for an official constructor and the keyword arguments that it was called with.

    Raises:
        UserError: there is none, or the arguments make it another net.
    """
    nets = official_nets()
    if constructor not in nets:
        raise unknown_name("net", constructor, nets, "If it is the same as one of ours, name that with --net")
    net = nets[constructor]
    given = {**net.arguments, **net.defaults, **arguments}
    others = [f"{name}={given[name]!r} instead of {value!r}"
              for name, value in net.arguments.items() if given[name] != value]
    others += [f"an unnamed {name}" for name in arguments if name.startswith("argument ")]
    if others:
        raise UserError(f"{constructor} was built with {', '.join(others)}: no net here computes that")
    return net.spec
