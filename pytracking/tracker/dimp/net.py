"""Finding the net of a DiMP tracker."""

from __future__ import annotations

from ltr.admin.checkpoint import load_net
from ltr.admin.errors import UserError
from ltr.models.tracking.dimp import BUILDERS, DiMPNet
from pytracking.components.weights import resolve_weights

OFFICIAL = ("dimp18", "dimp50")


def load_dimp(weights: str) -> DiMPNet:
    """The net of a file.

    Args:
        weights: a name or a path; a file of ours or an official checkpoint.

    Raises:
        UserError: the file is missing, broken or of another kind of net.
    """
    try:
        path = resolve_weights(weights)
    except UserError as error:
        if weights not in OFFICIAL:
            raise
        raise UserError(
            f"{error}. The official weights of DiMP are not shipped: if you have them, say where, as in "
            f"--weights path/to/{weights}.pth; else train the net with 'ltr-train dimp {weights}'"
        ) from error
    net = load_net(path)
    if not isinstance(net, DiMPNet):
        raise UserError(f"weights {path} are of {type(net).__name__}; DiMP needs those of {', '.join(BUILDERS)}")
    return net
