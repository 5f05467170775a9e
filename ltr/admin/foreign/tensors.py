"""Tensors of a foreign checkpoint: where they lie, and reading those that are wanted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ltr.admin.foreign.pickles import Call
from ltr.admin.foreign.values import DamagedError, Name, RefusedError, kind

_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_MAX_DIMENSIONS = 16
_MAX_EXTENT = 2**40  # of one dimension, of a stride, of an offset


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file.

    Attributes:
        key: its name in the file.
        dtype: of the numbers.
        count: how many they are.
        start: first number that belongs to this view of it.
        length: numbers of this view.
    """

    key: str
    dtype: torch.dtype
    count: int
    start: int
    length: int

    @property
    def nbytes(self) -> int:
        """Bytes of the whole run in the file."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class TensorRef:
    """A tensor as a pickle describes it; nothing of the description is checked before it is read."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


class StorageTable:
    """The storages that a pickle refers to, by name. A name must mean the same wherever it occurs."""

    def __init__(self) -> None:
        self.by_key: dict[str, Storage] = {}

    def persistent(self, identity: Any) -> Any:
        """The object of a persistent id: `("storage", type, key, device, count[, view])`.

        Raises:
            DamagedError: anything else.
        """
        if isinstance(identity, tuple) and len(identity) == 4 and _is_text(identity[0], "module"):
            return identity[1]  # a class with its source text, in files that hold whole modules
        if not (isinstance(identity, tuple) and len(identity) in (5, 6) and _is_text(identity[0], "storage")):
            raise DamagedError("its pickle refers to something that is no tensor data")
        _, kind_of_storage, key, _, count = identity[:5]
        view = identity[5] if len(identity) == 6 else None
        return self.add(kind_of_storage, key, count, view)

    def add(self, kind_of_storage: Any, key: Any, count: Any, view: Any = None) -> Storage:
        """A storage, or a part of it where `view` is `(name, start, length)`.

        Raises:
            DamagedError: the values make no sense, or contradict what was said before.
            RefusedError: a type of numbers that is not read.
        """
        dtype = _dtype(kind_of_storage)
        start, length = 0, count
        if view is not None:
            if not (isinstance(view, tuple) and len(view) == 3):
                raise DamagedError("tensor data are described wrongly")
            _, start, length = view
        if not (isinstance(key, str) and all(map(is_extent, (count, start, length))) and start + length <= count):
            raise DamagedError("tensor data are described wrongly")
        known = self.by_key.setdefault(key, Storage(key, dtype, count, 0, count))
        if (known.dtype, known.count) != (dtype, count):
            raise DamagedError("the same tensor data are described in two ways")
        return Storage(key, dtype, count, start, length)


class TensorReader:
    """Makes tensors of their descriptions; every storage is read once.

    Args:
        read: gives the `nbytes` bytes of a storage.
    """

    def __init__(self, read: Callable[[Storage], bytearray]) -> None:
        self._read = read
        self._flat: dict[str, Tensor] = {}

    def tensor(self, ref: TensorRef) -> Tensor:
        """The tensor, on the CPU. Tensors of one storage share memory, as they did where they were saved.

        Raises:
            DamagedError: it reaches beyond its data, or the data are not there.
            RefusedError: it has more elements than its data.
        """
        storage, (sizes, strides, offset) = ref.storage, _layout(ref)
        if not isinstance(storage, Storage):
            raise DamagedError(f"a tensor lies in a {kind(storage)}")
        elements = math.prod(sizes)
        if elements == 0:
            if math.prod(filter(None, sizes)) > _MAX_EXTENT:
                raise DamagedError("a tensor has sizes that no tensor has")
            return torch.empty(sizes, dtype=storage.dtype)
        last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        if last >= storage.length:
            raise DamagedError("a tensor reaches beyond its data")
        if elements > storage.length:
            raise RefusedError("a tensor has more elements than its data")
        return torch.as_strided(self._storage(storage), sizes, strides, storage.start + offset)

    def _storage(self, storage: Storage) -> Tensor:
        if storage.key not in self._flat:
            data = self._read(storage)
            if storage.dtype == torch.bool:  # other bytes than 0 and 1 would be neither true nor false
                flat = torch.frombuffer(data, dtype=torch.uint8) != 0
            else:
                flat = torch.frombuffer(data, dtype=storage.dtype)
            self._flat[storage.key] = flat
        return self._flat[storage.key]


def _layout(ref: TensorRef) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    sizes, strides, offset = ref.size, ref.stride, ref.offset
    if not (isinstance(sizes, (tuple, list)) and isinstance(strides, (tuple, list)) and is_extent(offset)):
        raise DamagedError("a tensor is described wrongly")
    if len(sizes) != len(strides) or len(sizes) > _MAX_DIMENSIONS:
        raise DamagedError("a tensor is described wrongly")
    if not all(map(is_extent, (*sizes, *strides))):
        raise DamagedError("a tensor has sizes or strides that no tensor has")
    return tuple(sizes), tuple(strides), offset


def is_extent(value: Any) -> bool:
    """Whether a value from a file can be a count, a size, a stride or an offset."""
    return type(value) is int and 0 <= value <= _MAX_EXTENT


def _is_text(value: Any, text: str) -> bool:
    return isinstance(value, str) and value == text


def _dtype(kind_of_storage: Any) -> torch.dtype:
    if isinstance(kind_of_storage, Name) and kind_of_storage.module in ("torch", "torch.cuda", "torch.storage"):
        name = kind_of_storage.name.replace("Tensor", "Storage")
        if name in _DTYPES:
            return _DTYPES[name]
    raise RefusedError(f"its tensor data are of type {kind(kind_of_storage)}, which is not read here")


def _rebuild(args: tuple[Any, ...]) -> TensorRef:
    if len(args) < 4:
        raise DamagedError("a tensor is described wrongly")
    return TensorRef(*args[:4])


def _first(args: tuple[Any, ...]) -> Any:
    if not args:
        raise DamagedError("a parameter is described wrongly")
    return args[0]


# What the names in the pickles of `torch.save` mean here; all others stay inert.
TENSOR_CALLS: dict[str, Call] = {
    "torch._utils._rebuild_tensor": _rebuild,  # before torch 0.4
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch.Size": _first,
}
