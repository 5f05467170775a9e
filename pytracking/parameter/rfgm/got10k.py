"""GOT-10k's protocol: RFGM-B256 trained on the training videos of GOT-10k alone."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """As `rfgm_b256`, with other weights."""
    return replace(rfgm_b256.parameters(), weights="rfgm_b256_got10k")
