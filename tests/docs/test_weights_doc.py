from __future__ import annotations

import re
from pathlib import Path

from ltr.models.official import official_nets


def test_the_table_of_official_nets_is_complete(repository: Path) -> None:
    text = (repository / "docs/weights.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", text, flags=re.MULTILINE)
    assert dict(rows) == {name: net.spec.builder for name, net in official_nets().items()}
