"""Finding the net of an RFGM tracker."""

from __future__ import annotations

from ltr.admin.checkpoint import load_net
from ltr.admin.errors import UserError
from ltr.models.tracking.rfgm import BUILDERS, RFGMNet
from pytracking.components.weights import resolve_weights
from pytracking.tracker.rfgm.params import RFGMParams


def load_rfgm(params: RFGMParams) -> RFGMNet:
    """The net of the file that the parameters name.

    Raises:
        UserError: the file is missing, broken or of another kind of net.
    """
    try:
        path = resolve_weights(params.weights)
    except UserError as error:
        remedy = _REMEDIES.get(params.weights)
        if remedy is None:
            raise
        raise UserError(f"{error}. {remedy}") from error
    net = load_net(path, builder=params.builder)
    if not isinstance(net, RFGMNet):
        raise UserError(f"weights {path} are of {type(net).__name__}; RFGM needs those of {', '.join(BUILDERS)}")
    return net


def adjust_net(net: RFGMNet, params: RFGMParams) -> None:
    """Gives a net the parameters' keep ratios, in place.

    Raises:
        UserError: the net cannot track with these parameters.
    """
    if params.memory == "gr_memory" and not net.stages:
        raise UserError(
            f"the net of weights {params.weights!r} has no relevance blocks, by which gr_memory chooses its tokens: "
            "use --set memory=one_template (or memory, or score_memory), or weights of a net with stages"
        )
    if params.keep_ratios is None:
        return
    if len(params.keep_ratios) != len(net.stages):
        raise UserError(
            f"keep_ratios {params.keep_ratios} has {len(params.keep_ratios)} values, but the net of weights "
            f"{params.weights!r} has {len(net.stages)} relevance blocks: give one for each"
        )
    net.keep_ratios = net.backbone.keep_ratios = params.keep_ratios


_TRAIN = "Of RFGM no official weights are known: train the net with 'ltr-train rfgm {}'"
_OSTRACK = (
    "The official weights of OSTrack are not shipped: if you have them, say where, as in "
    "--weights path/to/OSTrack_ep0300.pth.tar"
)
_REMEDIES = {
    **dict.fromkeys(("ostrack256", "ostrack256_ce"), _OSTRACK),
    **{name: _TRAIN.format(name) for name in ("rfgm_b256", "rfgm_b256_got10k", "rfgm_s256", "rfgm_t256")},
}
