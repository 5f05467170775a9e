"""What stands for the objects of a foreign pickle. Torch-free."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

_MAX_KEY = 2**60  # below it Python's hash of an integer is the integer: no two collide on purpose

# Data types of Python's library that may stand in a file. Other names of the library are a sign of an attack.
_LIBRARY = {
    "_codecs": ("encode",),
    "argparse": ("Namespace",),
    "builtins": ("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object",
                 "range", "set", "slice", "str", "tuple"),
    "collections": ("Counter", "OrderedDict", "defaultdict", "deque"),
    "copyreg": ("_reconstructor",),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "pathlib": ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"),
    "types": ("SimpleNamespace",),
    "uuid": ("UUID",),
}  # fmt: skip
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg", "commands": "subprocess", "nt": "os"}


class DamagedError(ValueError):
    """The file is not what it should be: cut short, altered, or of another kind."""


class RefusedError(ValueError):
    """The file holds something that no checkpoint needs."""


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names, and that nobody looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Inert:
    """What a pickle would have made of a class or function that means nothing here.

    Attributes:
        name: of the class or function.
        args: the arguments it was to get.
        state: what BUILD would have written into it, or None.
        items: what was to be appended; alternately keys and values where it was to be a dictionary.
    """

    __slots__ = ("args", "items", "name", "state")

    def __init__(self, name: str, args: Any = ()) -> None:
        self.name, self.args = name, args
        self.state: Any = None
        self.items: list[Any] = []


def kind(value: Any) -> str:
    """What a value from a file is, in a word or its class name, safe to print."""
    if isinstance(value, Inert):
        return shown(value.name)
    return shown(f"name {value}") if isinstance(value, Name) else type(value).__name__


def shown(text: str) -> str:
    """A text from a file, short and without control characters, for a message."""
    text = text if len(text) <= 100 else text[:100] + "…"
    return text if text.isprintable() else repr(text)


def key_of(value: Any) -> Any:
    """A dictionary key that cannot make hashing slow: a text, an ordinary number, or an `Inert` with the value."""
    if value is None or isinstance(value, (str, bytes, bool, float)):
        return value
    return value if isinstance(value, int) and abs(value) < _MAX_KEY else Inert("key", (value,))


def name_of(module: str, name: str) -> Name:
    """The name, as Python 3 spells it.

    Raises:
        RefusedError: it belongs to Python's library and is no data type: then somebody wants it called.
    """
    home = _PYTHON_2.get(module, module)
    of_library = home.partition(".")[0] in sys.stdlib_module_names
    reached = set(name.split(".")[:-1])  # `torch.serialization` + `os.system`: a way into the library from outside
    if (of_library and name not in _LIBRARY.get(home, ())) or reached & sys.stdlib_module_names:
        raise RefusedError(
            f"it names {shown(f'{module}.{name}')}, which no checkpoint needs: loaded the ordinary way, it "
            "could run code. Nothing was run; do not load it elsewhere"
        )
    return Name(home, name)
