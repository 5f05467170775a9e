"""The shipped net: four blocks on a small ResNet, which a CPU can train."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """The crops are those of the net, as large as in `rfgm_b256` in target sides.

    The net finds targets better than their sizes, which are calibrated and change slowly. Templates from its own boxes
    did not help it, so that the memory is the first frame.
    """
    return replace(
        rfgm_b256.parameters(),
        weights="rfgm_t_small",
        memory="one_template",
        calibrate_size=True,
        size_rate=0.25,
    )
