"""The folder of one run: its files, and what is done with those of an earlier run."""

from __future__ import annotations

import logging
from pathlib import Path

from ltr.admin.errors import UserError

log = logging.getLogger(__name__)

STATE = "train_state.pt"
FORMER_STATE = "train_state_former.pt"  # the one before: what is left where the newest is damaged
LOG = "log.csv"
LAST = "model_last.safetensors"
BEST = "model_best.safetensors"
TENSORBOARD = "tensorboard"


def set_aside(workdir: Path) -> Path | None:
    """Moves the files of an earlier run into ``previous_NNN``: hours of training are not deleted.

    Returns:
        The new folder, or ``None`` where there was nothing to move.

    Raises:
        UserError: No right to do so.
    """
    names = (STATE, FORMER_STATE, LOG, LAST, BEST, TENSORBOARD)
    present = [workdir / name for name in names if (workdir / name).exists()]
    if not present:
        return None
    number = 1
    while (workdir / f"previous_{number:03d}").exists():
        number += 1
    folder = workdir / f"previous_{number:03d}"
    try:
        folder.mkdir()
        for path in present:
            path.rename(folder / path.name)
    except OSError as error:
        raise UserError(
            f"cannot move the earlier run to {folder}: {error.strerror}; give another --workspace"
        ) from error
    log.info("moved the files of the earlier run to %s", folder)
    return folder
