"""What the adapters share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ltr.admin.errors import UserError

_SHOWN = 10


def raise_faults(faults: Sequence[str], root: Path) -> None:
    """One error that names the broken sequences, so that all can be mended at once."""
    if not faults:
        return
    more = [f"... and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    lines = "\n  ".join([*faults[:_SHOWN], *more])
    raise UserError(f"{len(faults)} of the sequences in {root} cannot be used:\n  {lines}")
