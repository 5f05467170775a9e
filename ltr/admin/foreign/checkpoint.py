"""What a checkpoint of another program holds: the net's tensors, what built it, a few facts."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from ltr.admin.errors import UserError
from ltr.admin.foreign import SUFFIXES
from ltr.admin.foreign.containers import Container, PlainContainer, ZipContainer
from ltr.admin.foreign.tar import TarContainer
from ltr.admin.foreign.tensors import TensorReader, TensorRef
from ltr.admin.foreign.values import DamagedError, Inert, RefusedError, kind, shown

MAX_SIZE = 16 * 2**30  # bytes; a tracker of a billion weights has 4
_STATE_NAMES = ("net", "state_dict", "model_state_dict", "model")  # under which others put the state dictionary
_MAX_NAME = 300  # characters of an entry's name
_LISTED = 64  # values of a sequence, and arguments, that are kept


@dataclass(frozen=True)
class ForeignCheckpoint:
    """The content of a checkpoint that another program wrote.

    Attributes:
        tensors: the net's state dictionary, on the CPU, in the precision of the file.
        constructor: name of the function that built the net, None where the file does not say.
        arguments: its keyword arguments; JSON values, texts in place of all others.
        facts: what else is known (epoch, net_type, actor_type, the constructor); JSON values.
    """

    tensors: dict[str, Tensor]
    constructor: str | None
    arguments: dict[str, Any]
    facts: dict[str, Any]


def is_foreign(path: Path) -> bool:
    """Whether a file is a checkpoint of `torch.save` by its first bytes, or says so by its name.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(262)
    if start[4:9] == b"\0\0\0\0{":  # safetensors: 8 bytes of a length, then JSON; its first byte may be any
        return False
    return start.startswith((b"PK", b"\x80")) or start[257:] == b"ustar" or path.name.endswith(SUFFIXES)


def read_foreign(path: str | PathLike[str]) -> ForeignCheckpoint:
    """Reads the net of a checkpoint; nothing in the file is executed.

    Known are dictionaries with the state dictionary under `net`, `state_dict`, `model_state_dict` or `model`,
    and bare state dictionaries; in the formats of all releases of torch since 2016. Only the net's tensors are
    read, not those of an optimizer beside it.

    Raises:
        UserError: not such a file, damaged, or holding what no checkpoint needs; says what to do.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would keep us waiting, /dev/zero has no end
        raise UserError(f"weights {path} are no regular file; give a file on disk")
    with _explained(path), path.open("rb") as file:
        container = _open_container(file, os.fstat(file.fileno()).st_size)
        return _checkpoint(container)


def _open_container(file: IO[bytes], size: int) -> Container:
    if size > MAX_SIZE:
        raise RefusedError(f"it has {size} bytes, more than any tracker's")
    start = file.read(262)
    file.seek(0)
    if start.startswith(b"PK"):
        return ZipContainer(file, size)
    if start.startswith(b"\x80"):
        return PlainContainer(file, size)
    if start[257:] == b"ustar":
        return TarContainer(file, size)
    raise DamagedError("it is not a file of torch.save" if start else "it is empty")


def _checkpoint(container: Container) -> ForeignCheckpoint:
    root = container.root
    if isinstance(root, Inert):
        raise RefusedError(f"it holds a whole object of class {kind(root)}, which only its own program can use")
    if not isinstance(root, dict):
        raise RefusedError(f"it holds a {kind(root)}, not the weights of a net")
    reader = TensorReader(container.read)
    tensors: dict[str, Tensor] = {}
    for key, value in _state(root).items():
        name = _entry_name(key)
        tensors[name] = _tensor(reader, name, value)
    present = {key: root.get(key) for key in ("epoch", "net_type", "actor_type")}
    facts = {key: _fact(value) for key, value in present.items() if isinstance(value, (int, str))}
    constructor = root.get("constructor")
    described = constructor.state if isinstance(constructor, Inert) else None
    if not isinstance(described, dict) or not isinstance(described.get("fun_name"), str):
        return ForeignCheckpoint(tensors, None, {}, facts)
    name, arguments = shown(described["fun_name"]), _arguments(described)
    facts["constructor"] = {"name": name, "module": _fact(described.get("fun_module")), "arguments": arguments}
    return ForeignCheckpoint(tensors, name, arguments, facts)


def _state(root: dict[Any, Any]) -> dict[Any, Any]:
    for name in _STATE_NAMES:
        if isinstance(root.get(name), dict):
            root = root[name]
            break
        if isinstance(root.get(name), Inert):
            raise RefusedError(f"its {name!r} is a whole object of class {kind(root[name])}, not a state dictionary")
    if not any(isinstance(value, TensorRef) for value in root.values()):
        raise RefusedError("it holds no state dictionary (names and tensors of a net)")
    return root


def _entry_name(name: Any) -> str:
    if not isinstance(name, str) or not name.isprintable() or len(name) > _MAX_NAME:
        raise RefusedError("an entry of its state dictionary has a name that no net has")
    return name


def _tensor(reader: TensorReader, name: str, value: Any) -> Tensor:
    if not isinstance(value, TensorRef):
        raise RefusedError(f"its entry {shown(name)} holds a {kind(value)} instead of a tensor")
    try:
        return reader.tensor(value)
    except (DamagedError, RefusedError) as error:
        raise type(error)(f"{error} (entry {shown(name)})") from error


def _arguments(described: dict[str, Any]) -> dict[str, Any]:
    named, unnamed = described.get("kwds"), described.get("args")
    values: list[tuple[Any, Any]] = []
    if isinstance(unnamed, tuple):
        values += [(f"argument {index}", value) for index, value in enumerate(unnamed[:_LISTED], 1)]
    if isinstance(named, dict):
        values += itertools.islice(named.items(), _LISTED)
    return {shown(key): _fact(value) for key, value in values if isinstance(key, str)}


def _fact(value: Any, nested: bool = True) -> Any:
    """A JSON value; a text for what is none."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if nested and isinstance(value, (tuple, list)) and len(value) <= _LISTED:
        return [_fact(item, nested=False) for item in value]
    return f"({kind(value)})"


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what reading raises into messages that name the file and what to do."""
    unread = f"weights {path} cannot be read as a checkpoint"
    try:
        yield
    except DamagedError as error:
        raise UserError(f"{unread}: {error}. Copy or download the file again, or correct the path") from error
    except RefusedError as error:
        raise UserError(
            f"{unread}: {error}. Take the file from the net's authors, or save the weights alone with "
            "torch.save(net.state_dict(), file) where the net can be built"
        ) from error
    except MemoryError as error:
        raise UserError(f"{unread}: it needs more memory than there is; use a machine with more") from error
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror or error}") from error
