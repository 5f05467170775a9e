"""The kinds of file that `torch.save` wrote: zip (since 1.6) and a row of pickles (0.1.10 to 1.5); tar is older.

Each gives the pickled object, with `TensorRef` in place of tensors, and the data of a storage. Files are read
at the places that they name, never unpacked.
"""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any, Protocol

from ltr.admin.foreign.pickles import MAX_BYTES, PickleReader
from ltr.admin.foreign.tensors import TENSOR_CALLS, Storage, StorageTable
from ltr.admin.foreign.values import DamagedError, RefusedError, shown

MAX_DIRECTORY = 8 * 2**20  # bytes of a zip file's table of contents; 100,000 tensors fit
_ROOM = 256  # bytes that zipfile may ask for beyond the end of a short file
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # at the beginning of a row of pickles


class Container(Protocol):
    """An open checkpoint.

    Attributes:
        root: the pickled object.
    """

    root: Any

    def read(self, storage: Storage) -> bytearray:
        """The data of a storage of this file, `storage.nbytes` bytes."""
        ...


class ZipContainer:
    """A zip file: `<folder>/data.pkl` and one entry `<folder>/data/<key>` for each storage, none compressed.

    Args:
        file: open for reading.
        size: its bytes.

    Raises:
        DamagedError: not such a file, or a damaged one.
        RefusedError: compressed or encrypted entries, strange names, sizes beyond the file's.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        capped = _Capped(file, min(MAX_DIRECTORY, size))
        with _zip_errors():
            self._zip = zipfile.ZipFile(capped)  # type: ignore[call-overload]  # needs read, seek and tell only
        self._entries = _checked_entries(self._zip.infolist(), size)
        capped.limit = size
        self._folder = self._find_folder()
        if self._entry("byteorder", 16, default=b"little") != b"little":
            raise RefusedError("it was saved on a machine of the other byte order")
        table = StorageTable()
        pickle = io.BytesIO(self._entry("data.pkl", MAX_BYTES))
        self.root = PickleReader(pickle, TENSOR_CALLS, table.persistent).load()

    def read(self, storage: Storage) -> bytearray:
        data = self._entry(f"data/{storage.key}", storage.nbytes)
        if len(data) != storage.nbytes:
            raise DamagedError(f"tensor data have {len(data)} bytes instead of {storage.nbytes}")
        return bytearray(data)

    def _find_folder(self) -> str:
        folders = [name.partition("/")[0] for name in self._entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(folders) != 1:
            raise DamagedError("it is a zip file, but not one of torch.save")
        return folders[0]

    def _entry(self, name: str, limit: int, default: bytes | None = None) -> bytes:
        entry = self._entries.get(f"{self._folder}/{name}")
        if entry is None and default is not None:
            return default
        if entry is None:
            raise DamagedError(f"it lacks its part {shown(name)}")
        if entry.file_size > limit:
            raise RefusedError(f"its part {shown(name)} has {entry.file_size} bytes, where at most {limit} can be")
        with _zip_errors():
            return self._zip.read(entry)


class _Capped:
    """A file of which little more than `limit` bytes are read at once, whatever length a zip file declares."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self.limit = file, limit
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self.limit + _ROOM:
            raise RefusedError(f"a part of it is said to have {size} bytes, where at most {self.limit} can be")
        return self._file.read(size if size >= 0 else self.limit)


@contextlib.contextmanager
def _zip_errors() -> Iterator[None]:
    try:
        yield
    except (DamagedError, RefusedError):
        raise
    # What zipfile raises on damaged files, which can send it to places before the beginning, for instance.
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError) as error:
        raise DamagedError(f"its zip structure is cut short or damaged ({shown(str(error))})") from error


def _checked_entries(entries: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    """Entries by name: stored as they are, each once, no more in all than the file has."""
    if any(entry.orig_filename.endswith("/constants.pkl") for entry in entries):
        raise RefusedError("it is a TorchScript program (torch.jit.save), not a checkpoint")
    checked: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.orig_filename
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise RefusedError(f"its part {shown(name)} is compressed or encrypted, which torch.save never does")
        parts = re.split(r"[/\\]", name)
        if ".." in parts or not parts[0] or parts[0].endswith(":") or "\\" in name or not name.isprintable():
            raise RefusedError(f"it has a part {shown(name)}, a name that torch.save never gives")
        if name in checked:
            raise DamagedError(f"it has two parts {shown(name)}")
        checked[name] = entry
    total = sum(entry.file_size for entry in entries)
    if total > size or any(entry.file_size != entry.compress_size for entry in entries):
        raise DamagedError(f"its parts are said to have {total} bytes, the file has {size}")
    return checked


class PlainContainer:
    """A row of pickles: magic number, protocol, the machine's sizes, the object, names of storages; then the data.

    Args:
        file: open for reading, at its beginning.
        size: its bytes.

    Raises:
        DamagedError: not such a file, or a damaged one.
        RefusedError: it holds what no checkpoint needs.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        table = StorageTable()
        reader = PickleReader(file, TENSOR_CALLS, table.persistent)
        if not _is_number(reader.load(), _MAGIC):
            raise DamagedError("it is a pickle, but not one of torch.save")
        if not _is_number(reader.load(), _PROTOCOL):
            raise DamagedError("it has a protocol version that torch.save never wrote")
        machine = reader.load()
        if isinstance(machine, dict) and machine.get("little_endian") is False:
            raise RefusedError("it was saved on a machine of the other byte order")
        self.root = reader.load()
        keys = reader.load()
        self._file = file
        self._places = self._find_data(keys, table, size)

    def read(self, storage: Storage) -> bytearray:
        if storage.key not in self._places:
            raise DamagedError("the data of a tensor are missing")
        return read_at(self._file, self._places[storage.key], storage.nbytes)

    def _find_data(self, keys: Any, table: StorageTable, size: int) -> dict[str, int]:
        if not isinstance(keys, list):
            raise DamagedError("the list of its tensor data is damaged")
        places: dict[str, int] = {}
        for key in keys:
            storage = table.by_key.get(key) if isinstance(key, str) else None
            if storage is None:
                raise DamagedError("it has data that belong to no tensor")
            place = self._file.tell()
            check_count(self._file, storage, size)
            places[key] = place + 8
        return places


def check_count(file: IO[bytes], storage: Storage, end: int) -> None:
    """Reads the 8 bytes that say how many numbers follow, and steps over the numbers.

    Raises:
        DamagedError: it is not the storage's number, or they would reach beyond `end`.
    """
    if read_count(file) != storage.count:
        raise DamagedError("the size of tensor data is not what was said before")
    after = file.tell() + storage.nbytes
    if after > end:
        raise DamagedError(f"it is cut short: tensor data would end at byte {after} of {end}")
    file.seek(after)


def read_count(file: IO[bytes]) -> int:
    """An 8-byte integer.

    Raises:
        DamagedError: the file ends before.
    """
    data = file.read(8)
    if len(data) < 8:
        raise DamagedError("it is cut short")
    return int.from_bytes(data, "little", signed=True)


def read_at(file: IO[bytes], place: int, count: int) -> bytearray:
    """`count` bytes from a place in the file, which the caller knows to be there.

    Raises:
        DamagedError: they are not.
    """
    data = bytearray(count)
    file.seek(place)
    if file.readinto(data) != count:  # type: ignore[attr-defined]
        raise DamagedError("it is cut short")
    return data


def _is_number(value: Any, number: int) -> bool:
    return isinstance(value, int) and value == number
