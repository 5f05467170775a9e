"""Files as `torch.save` writes them, around pickles of the tests."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
Wrap = Callable[..., bytes]


def wrap(content: bytes, how: str, data: dict[str, bytes] | None = None, item: int = 4) -> bytes:
    """A checkpoint around a pickle.

    Args:
        content: the pickle.
        how: "zip" or "plain".
        data: name -> bytes of its storages.
        item: bytes of a number in them.
    """
    data = data or {}
    if how == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("toy/data.pkl", content)
            for key, values in data.items():
                archive.writestr(f"toy/data/{key}", values)
            archive.writestr("toy/version", "3\n")
        return file.getvalue()
    machine = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    heads = [pickle.dumps(value, protocol=2) for value in (MAGIC, PROTOCOL, machine)]
    numbers = [struct.pack("<q", len(values) // item) + values for values in data.values()]
    return b"".join([*heads, content, pickle.dumps(list(data), protocol=2), *numbers])


@pytest.fixture(name="wrap")
def _wrap() -> Wrap:
    return wrap


@pytest.fixture(params=["zip", "plain"])
def how(request: pytest.FixtureRequest) -> str:
    """Both forms in which a pickle can come."""
    return str(request.param)


@pytest.fixture(params=["checkpoint_fixture.pth.tar", "checkpoint_fixture_legacy_tarfmt.pth.tar"])
def official(request: pytest.FixtureRequest, repository: Path) -> Path:
    """A file as the official trainer writes it, with a toy net: as zip, and as a row of pickles."""
    return repository / "tests/goldens/dimp" / str(request.param)
