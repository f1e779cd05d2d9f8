"""Read pickles of plain data safely: Python's unpickler would execute code from the file.

The opcodes accepted here build dicts, lists, tuples, text, bytes, numbers and arrays of bytes. No name in the file is
imported or called. Anything else in a pickle is a ValueError.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARK = object()
GLOBALS = {
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy ndarray": "class",
    "numpy dtype": "dtype",
}


@dataclass(frozen=True)
class Name:
    """A function or class that the pickle of an array names; it is never called."""

    kind: str


@dataclass
class Stored:
    """The pickled state of an array, which `to_array` converts, or of a dtype, which is ignored."""

    kind: str
    state: Any = None


@dataclass
class Machine:
    """The state of the pickle machine after some opcodes."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def pop_to_mark(self) -> list[Any]:
        """Pop the values above the last mark, and the mark; return the values."""
        values = []
        while (value := self.stack.pop()) is not MARK:
            values.append(value)
        return values[::-1]


def loads(content: bytes) -> Any:
    """Return the value of a pickle of protocol 0 to 3; text of Python 2 is read as latin-1, arrays are `Stored`.

    Raises ValueError, with the reason, for anything but plain data and for a truncated or damaged pickle.
    """
    machine = Machine()
    try:
        for opcode, argument, _ in _opcodes(content):
            if opcode.name in LITERALS:
                machine.stack.append(argument)
            elif opcode.name in ACTIONS:
                ACTIONS[opcode.name](machine, argument)
            elif opcode.name not in IGNORED:
                raise ValueError(f"the pickle holds more than plain data: opcode {opcode.name}")
    except (IndexError, KeyError, TypeError, AttributeError) as problem:
        raise ValueError("the pickle is damaged") from problem
    if len(machine.stack) != 1:
        raise ValueError("the pickle is damaged")
    return machine.stack[0]


def to_array(value: Any) -> NDArray[np.uint8]:
    """Convert a stored array of bytes; ValueError for any other value."""
    if not isinstance(value, Stored) or not isinstance(value.state, tuple) or len(value.state) != 5:
        raise ValueError("expected an array, given another value")
    _, shape, _, by_column, content = value.state
    if isinstance(content, str):
        content = content.encode("latin-1")  # bytes in pickles of Python 2
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array has no shape")
    if not isinstance(content, bytes) or math.prod(shape) != len(content):
        raise ValueError(f"an array of shape {shape} does not hold one byte per element")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape, order="F" if by_column else "C")


def _opcodes(content: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    try:
        yield from pickletools.genops(content)
    except ValueError as problem:
        raise ValueError(f"the pickle is truncated or damaged ({problem})") from problem


def _global(machine: Machine, name: str) -> None:
    if name not in GLOBALS:
        raise ValueError(f"the pickle holds more than plain data: it names {name.replace(' ', '.')}")
    machine.stack.append(Name(GLOBALS[name]))


def _reduce(machine: Machine, _: object) -> None:
    machine.stack.pop()  # an empty shape, or the name of a dtype; BUILD has the rest
    called = machine.stack.pop()
    if called not in (Name("array"), Name("dtype")):
        raise ValueError("the pickle holds more than plain data: it calls something")
    machine.stack.append(Stored(called.kind))


def _build(machine: Machine, _: object) -> None:
    state = machine.stack.pop()
    if not isinstance(machine.stack[-1], Stored):
        raise ValueError("the pickle holds more than plain data: it sets up an object")
    machine.stack[-1].state = state


def _set_items(machine: Machine, values: list[Any]) -> None:
    if not all(isinstance(key, str | bytes) for key in values[::2]) or len(values) % 2:
        raise ValueError("a dict has keys that are not text")
    target = machine.stack[-1]
    if not isinstance(target, dict):
        raise ValueError("the pickle is damaged")
    target.update(zip(values[::2], values[1::2], strict=True))


def _append(machine: Machine, values: list[Any]) -> None:
    if not isinstance(machine.stack[-1], list):
        raise ValueError("the pickle is damaged")
    machine.stack[-1].extend(values)


def _new_dict(machine: Machine, _: object) -> None:
    values = machine.pop_to_mark()
    machine.stack.append({})
    _set_items(machine, values)


def _two(machine: Machine) -> list[Any]:
    value, key = machine.stack.pop(), machine.stack.pop()
    return [key, value]


def _tuple(length: int) -> Callable[[Machine, object], None]:
    def make(machine: Machine, _: object) -> None:
        machine.stack[-length:] = [tuple(machine.stack[-length:])]

    return make


def _put(machine: Machine, index: int) -> None:
    machine.memo[index] = machine.stack[-1]


def _get(machine: Machine, index: int) -> None:
    machine.stack.append(machine.memo[index])


IGNORED = {"PROTO", "STOP"}
LITERALS = {
    "NONE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "BINBYTES", "SHORT_BINBYTES",
}  # fmt: skip
ACTIONS: dict[str, Callable[[Machine, Any], None]] = {
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "MARK": lambda machine, _: machine.stack.append(MARK),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "DICT": _new_dict,
    "LIST": lambda machine, _: machine.stack.append(machine.pop_to_mark()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "SETITEM": lambda machine, _: _set_items(machine, _two(machine)),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.pop_to_mark()),
    "APPEND": lambda machine, _: _append(machine, [machine.stack.pop()]),
    "APPENDS": lambda machine, _: _append(machine, machine.pop_to_mark()),
    "GLOBAL": _global,
    "REDUCE": _reduce,
    "BUILD": _build,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
}
