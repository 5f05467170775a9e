"""The example on the package's page runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def test_example(repository: Path) -> None:
    page = (repository / "external" / "prroi_pool" / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {}
    exec(example[1], names)
    assert names["rois"].grad[:, 1:].all()
    assert names["pool"](names["features"], names["rois"]).shape == (2, 64, 5, 5)
    assert names["pooled"].shape == (2, 31, 31, 64, 8, 8)
