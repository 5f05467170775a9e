"""Pickles read as data: nothing that a pickle names is looked up, imported or called. Torch-free.

A pickle is a program for a stack machine. `pickle.load` runs it on living objects: GLOBAL imports what the
file names, REDUCE calls it, BUILD writes into it. The machine here has no such instruction. GLOBAL puts a
`Name` on the stack, a pair of strings; REDUCE and NEWOBJ make an `Inert` that remembers the name and the
arguments; BUILD stores the state there. Only the few names that the caller gives a function of ours for
(such as `torch._utils._rebuild_tensor_v2`) mean something.

`torch.load(weights_only=True)` inside `torch.serialization.safe_globals` with inert classes reads most
official files too, and is not used here for these reasons. It calls the functions and constructors on its
own list with the file's arguments; it allocates what the file declares before looking whether it is there;
it bounds neither nesting nor length; the allowed names must be known before the file is read and are
switched for the whole process; and it refuses the tar format.

What a hostile pickle can still do is waste time and memory, so steps, bytes, lines and open marks are
bounded. Nothing here walks through the result, so that depth, cycles and values shared a billion times
cost nothing; callers must not compare, print or hash containers from a file either.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any, cast

from ltr.admin.foreign.values import DamagedError, Inert, Name, RefusedError, key_of, kind, name_of, shown

MAX_STEPS = 1_000_000  # a DiMP-50 checkpoint with optimizer and statistics takes 40,000
MAX_BYTES = 32 * 2**20
MAX_LINE = 1024  # the only lines are names of modules and classes
MAX_MARKS = 500  # containers that are open at once

Call = Callable[[tuple[Any, ...]], Any]


class PickleReader:
    """Reads the pickles of one file; the limits hold for all of them together.

    Args:
        file: open for reading; stands behind a pickle's last byte when `load` returns.
        calls: full name -> function of ours that takes the tuple of arguments.
        persistent: makes an object of a persistent id; None where the file may have none.
    """

    def __init__(
        self,
        file: IO[bytes],
        calls: Mapping[str, Call] | None = None,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.calls = calls or {}
        self.persistent = persistent
        self._file = _Bounded(file, MAX_BYTES)
        self._steps = MAX_STEPS

    def load(self) -> Any:
        """The next pickle's object: None, bool, int, float, str, bytes, list, tuple, dict, what `calls` and
        `persistent` made, `Name` and `Inert`. Sets come as `Inert`, so that nothing of the file is hashed; so
        do dictionary keys that are neither texts nor ordinary numbers.

        Raises:
            DamagedError: not a pickle, or a damaged one.
            RefusedError: beyond a limit, an instruction that `torch.save` does not use, or a name of Python's
                library that is no data type.
        """
        machine = _Machine(self)
        try:
            for opcode, argument, _ in pickletools.genops(cast(IO[bytes], self._file)):
                self.spend(1)
                if opcode.name == "STOP":
                    return machine.pop()
                machine.step(opcode.name, argument)
        except (DamagedError, RefusedError):
            raise
        except ValueError as error:  # what pickletools raises; texts from the file are in it
            if self._file.left == 0:
                raise RefusedError(f"its pickle is longer than {MAX_BYTES} bytes") from error
            raise DamagedError(f"its pickle breaks off or is damaged ({shown(str(error))})") from error
        raise DamagedError("its pickle has no end")

    def spend(self, steps: int) -> None:
        """Counts work against the limit.

        Raises:
            RefusedError: there is none left.
        """
        self._steps -= steps
        if self._steps < 0:
            raise RefusedError(f"its pickle has more than {MAX_STEPS} instructions")


class _Bounded:
    """The next bytes of a file: whatever length a pickle declares, no more than `left` is read or allocated."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file, self.left = file, left

    def read(self, size: int) -> bytes:
        data = self._file.read(min(max(size, 0), self.left))
        self.left -= len(data)
        return data

    def readline(self) -> bytes:
        data = self._file.readline(min(MAX_LINE, self.left))
        self.left -= len(data)
        return data


class _Machine:
    """The stack machine for one pickle."""

    def __init__(self, reader: PickleReader) -> None:
        self.reader = reader
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below the open marks
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _MAKERS:
            self.stack.append(_MAKERS[name]())
        elif name in _STEPS:
            _STEPS[name](self)
        elif name in _STEPS_WITH_ARGUMENT:
            _STEPS_WITH_ARGUMENT[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise RefusedError(f"its pickle has an instruction {name}, which torch.save does not write")

    def pop(self) -> Any:
        if not self.stack:
            raise DamagedError("its pickle is damaged (it takes from an empty stack)")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise DamagedError("its pickle is damaged (it reads from an empty stack)")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        if not self.outer:
            raise DamagedError("its pickle is damaged (it closes what was not opened)")
        items, self.stack = self.stack, self.outer.pop()
        return items

    def mark(self) -> None:
        if len(self.outer) >= MAX_MARKS:
            raise RefusedError(f"its pickle is nested more than {MAX_MARKS} deep")
        self.outer.append(self.stack)
        self.stack = []

    def discard(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def discard_mark(self) -> None:
        self.pop_mark()

    def duplicate(self) -> None:
        self.stack.append(self.top())

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def tuple_of_mark(self) -> None:
        items = self.pop_mark()
        self.stack.append(tuple(items))

    def list_of_mark(self) -> None:
        items = self.pop_mark()
        self.stack.append(items)

    def dict_of_mark(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set_items(items)

    def frozenset_of_mark(self) -> None:
        items = self.pop_mark()
        self.stack.append(Inert("builtins.frozenset"))
        self._extend(items)

    def append(self) -> None:
        value = self.pop()
        self._extend([value])

    def append_mark(self) -> None:
        self._extend(self.pop_mark())

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self._set_items([key, value])

    def set_mark(self) -> None:
        self._set_items(self.pop_mark())

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.top()

    def put(self, index: int) -> None:
        self.memo[index] = self.top()

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise DamagedError("its pickle is damaged (it recalls what it has not stored)")
        self.stack.append(self.memo[index])

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(name_of(module, name))

    def name_on_stack(self) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise DamagedError("its pickle is damaged (a name that is no text)")
        self.stack.append(name_of(module, name))

    def call(self) -> None:
        args, function = self.pop(), self.pop()
        if not isinstance(args, tuple):
            raise DamagedError(f"its pickle is damaged (arguments that are a {kind(args)})")
        if isinstance(function, Name):
            ours = self.reader.calls.get(str(function))
            if str(function) == "collections.OrderedDict":
                self._ordered_dict(args)
            else:
                self.stack.append(ours(args) if ours else Inert(str(function), args))
        elif isinstance(function, Inert):
            self.stack.append(Inert(function.name, args))
        else:
            raise DamagedError(f"its pickle is damaged (it calls a {kind(function)})")

    def call_with_keywords(self) -> None:
        self.pop()
        self.call()

    def build(self) -> None:
        state = self.pop()
        target = self.top()
        if isinstance(target, Inert):
            target.state = state
        elif not isinstance(target, dict):  # a state dictionary has attributes of its own, which nobody needs
            raise DamagedError(f"its pickle is damaged (it writes into a {kind(target)})")

    def persistent_id(self) -> None:
        if self.reader.persistent is None:
            raise RefusedError("its pickle refers to something outside (a persistent id) where nothing can be")
        self.stack.append(self.reader.persistent(self.pop()))

    def _extend(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Inert):
            target.items.extend(values)
        else:
            raise DamagedError(f"its pickle is damaged (it appends to a {kind(target)})")

    def _set_items(self, values: list[Any]) -> None:
        target = self.top()
        if len(values) % 2:
            raise DamagedError("its pickle is damaged (a key without a value)")
        if isinstance(target, dict):
            for key, value in zip(values[::2], values[1::2], strict=True):
                target[key_of(key)] = value
        elif isinstance(target, Inert):
            target.items.extend(values)
        else:
            raise DamagedError(f"its pickle is damaged (it sets an entry of a {kind(target)})")

    def _ordered_dict(self, args: tuple[Any, ...]) -> None:
        self.stack.append({})
        if not args:
            return
        pairs = args[0]  # Python 2 wrote the entries as a list of pairs
        if not isinstance(pairs, list):
            raise DamagedError(f"its pickle is damaged (a dictionary of a {kind(pairs)})")
        self.reader.spend(len(pairs))  # the same long list could be named a million times
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise DamagedError("its pickle is damaged (a dictionary entry that is no pair)")
            self._set_items(list(pair))


_VALUES = frozenset({
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
_MAKERS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": lambda: Inert("builtins.set"),
}
_STEPS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.discard,
    "POP_MARK": _Machine.discard_mark,
    "DUP": _Machine.duplicate,
    "TUPLE": _Machine.tuple_of_mark,
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "LIST": _Machine.list_of_mark,
    "DICT": _Machine.dict_of_mark,
    "FROZENSET": _Machine.frozenset_of_mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_mark,
    "ADDITEMS": _Machine.append_mark,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_mark,
    "MEMOIZE": _Machine.memoize,
    "STACK_GLOBAL": _Machine.name_on_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "NEWOBJ_EX": _Machine.call_with_keywords,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent_id,
}
_STEPS_WITH_ARGUMENT: dict[str, Callable[[_Machine, Any], None]] = {
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
}
