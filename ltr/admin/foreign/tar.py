"""Checkpoints in a tar file, as torch wrote them before 0.1.10 (2017).

The members are read with a few lines of our own: the library's `tarfile` follows links between headers that a
hostile file can close to a circle.
"""

from __future__ import annotations

import struct
from typing import IO, Any

from ltr.admin.foreign.containers import check_count, read_at, read_count
from ltr.admin.foreign.pickles import PickleReader
from ltr.admin.foreign.tensors import TENSOR_CALLS, Storage, StorageTable, TensorRef, is_extent
from ltr.admin.foreign.values import DamagedError, RefusedError

_BLOCK = 512
_MAX_MEMBERS = 64
_REGULAR, _NOTES = (b"0", b"\0"), (b"x", b"g")  # types of members; notes are about the next one's dates


class TarContainer:
    """The members `storages` and `tensors`, numbers between pickles, and `pickle`, which refers to them.

    Args:
        file: open for reading.
        size: its bytes.

    Raises:
        DamagedError: not such a file, or a damaged one.
        RefusedError: it holds what no checkpoint needs.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._members = _members(file, size)
        self._objects: dict[int, Storage | TensorRef] = {}
        self._places: dict[str, int] = {}
        reader = PickleReader(file, TENSOR_CALLS, self._object)
        self._read_storages(reader)
        self._read_tensors(reader)
        self._enter("pickle")
        self.root = reader.load()

    def read(self, storage: Storage) -> bytearray:
        return read_at(self._file, self._places[storage.key], storage.nbytes)

    def _enter(self, name: str) -> int:
        if name not in self._members:
            raise DamagedError(f"it is a tar file, but without the part {name} that torch.save writes")
        start, end = self._members[name]
        self._file.seek(start)
        return end

    def _object(self, identity: Any) -> Any:
        if isinstance(identity, tuple) and identity:
            return identity[0]  # a class with its source text, in files that hold whole modules
        if isinstance(identity, str) and identity.isdecimal() and len(identity) < 21:
            identity = int(identity)
        if type(identity) is not int or identity not in self._objects:
            raise DamagedError("its pickle refers to a tensor that is not there")
        return self._objects[identity]

    def _read_storages(self, reader: PickleReader) -> None:
        end = self._enter("storages")
        table = StorageTable()
        for _ in range(_count(reader.load())):
            key, _, kind = _fields(reader.load(), 3)
            place = self._file.tell()
            storage = table.add(kind, str(_identity(key)), read_count(self._file))
            self._file.seek(place)
            check_count(self._file, storage, end)
            self._objects[key] = storage
            self._places[storage.key] = place + 8
        views = reader.load()
        if not isinstance(views, list):
            raise DamagedError("the list of its tensor data is damaged")
        for view in views:
            key, root, start, length = _fields(view, 4)
            storage_of = self._objects.get(_identity(root))
            if not isinstance(storage_of, Storage) or not (is_extent(start) and is_extent(length)):
                raise DamagedError("tensor data are described wrongly")
            if start + length > storage_of.count:
                raise DamagedError("tensor data are described wrongly")
            self._objects[_identity(key)] = Storage(storage_of.key, storage_of.dtype, storage_of.count, start, length)

    def _read_tensors(self, reader: PickleReader) -> None:
        self._enter("tensors")
        for _ in range(_count(reader.load())):
            key, storage, _ = _fields(reader.load(), 3)
            dimensions = read_count(self._file) & 0xFFFFFFFF  # four bytes and four of padding
            if dimensions > 16:
                raise DamagedError("a tensor is described wrongly")
            data = self._file.read(16 * dimensions + 8)
            if len(data) < 16 * dimensions + 8:
                raise DamagedError("it is cut short")
            numbers = struct.unpack(f"<{2 * dimensions + 1}q", data)
            self._objects[_identity(key)] = TensorRef(
                self._objects.get(_identity(storage)), numbers[-1], numbers[:dimensions], numbers[dimensions:-1]
            )


def _members(file: IO[bytes], size: int) -> dict[str, tuple[int, int]]:
    """Name -> first byte and the byte behind the last one, of the regular members."""
    found: dict[str, tuple[int, int]] = {}
    place = 0
    for _ in range(_MAX_MEMBERS):
        file.seek(place)
        header = file.read(_BLOCK)
        if len(header) < _BLOCK or not any(header):
            return found
        length = _octal(header[124:136])
        unsigned = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
        if unsigned != _octal(header[148:156]) or place + _BLOCK + length > size:
            raise DamagedError("its tar structure is cut short or damaged")
        kind = header[156:157]
        if kind in _REGULAR:
            name = header[:100].rstrip(b"\0").decode("latin-1")
            found[name] = (place + _BLOCK, place + _BLOCK + length)
        elif kind not in _NOTES and kind != b"5":
            raise RefusedError("it is a tar file with links or special members, which torch.save never writes")
        place += _BLOCK + -(-length // _BLOCK) * _BLOCK
    raise RefusedError(f"it is a tar file of more than {_MAX_MEMBERS} members, which torch.save never writes")


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits or not all(digit in b"01234567" for digit in digits):
        raise DamagedError("its tar structure is cut short or damaged")
    return int(digits, 8)


def _count(value: Any) -> int:
    if not is_extent(value):
        raise DamagedError("the number of its tensors is damaged")
    return int(value)


def _fields(value: Any, count: int) -> tuple[Any, ...]:
    if not isinstance(value, tuple) or len(value) != count:
        raise DamagedError("tensor data are described wrongly")
    return value


def _identity(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**64:
        raise DamagedError("tensor data are described wrongly")
    return value
