"""Finding the net of a tracker."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from torch import nn

from ltr.admin.checkpoint import load_net
from ltr.admin.errors import UserError
from pytracking.components.weights import resolve_weights

Net = TypeVar("Net", bound=nn.Module)


def load_tracking_net(
    weights: str, kind: type[Net], tracker: str, *, builders: Collection[str], official: Collection[str] = ()
) -> Net:
    """The net of a file.

    Args:
        weights: a name or a path; a file of ours or an official checkpoint.
        kind: class of net that is needed.
        tracker: folder of its training settings, for messages.
        builders: names of the functions that build such nets.
        official: names of weights that exist elsewhere, but are not shipped.

    Raises:
        UserError: the file is missing, broken or of another kind of net.
    """
    try:
        path = resolve_weights(weights)
    except UserError as error:
        if weights not in official:
            raise
        raise UserError(
            f"{error}. The official weights of {weights} are not shipped: if you have them, say where, as in "
            f"--weights path/to/{weights}.pth; else train the net with 'ltr-train {tracker} {weights}'"
        ) from error
    net = load_net(path)
    if not isinstance(net, kind):
        raise UserError(f"weights {path} are of {type(net).__name__}; {tracker} needs those of {', '.join(builders)}")
    return net
