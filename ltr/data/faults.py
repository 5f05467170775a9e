"""Files that cannot be read: counted, told in the log, and an end to it where they are many. Torch-free."""

from __future__ import annotations

import logging
from collections import Counter

from ltr.admin.errors import UserError

log = logging.getLogger(__name__)

_FEW = 10  # broken draws that say nothing about a data set yet


class FaultCounter:
    """What became of the draws from each data set, in this process."""

    def __init__(self) -> None:
        self.draws: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()

    def drawn(self, dataset: str) -> None:
        """Counts a draw."""
        self.draws[dataset] += 1

    def failed(self, dataset: str, fault: str) -> None:
        """Counts a draw that met a broken file; the 1st, 10th, 100th and so on are told in the log.

        Raises:
            UserError: at least ten draws failed, and more than half of all: the data set is mostly broken.
        """
        self.broken[dataset] += 1
        broken, draws = self.broken[dataset], self.draws[dataset]
        if broken >= _FEW and broken > draws / 2:
            raise UserError(
                f"data set '{dataset}' is mostly broken: {broken} of {draws} draws met a file that cannot be used. "
                f"Restore its files; the last was: {fault}"
            )
        if str(broken).strip("0") == "1":
            log.warning(
                "data set '%s': %d of %d draws met a file that cannot be used; others were drawn instead. The last: %s",
                dataset,
                broken,
                draws,
                fault,
            )
