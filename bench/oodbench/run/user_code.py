"""The sha256 of a user's own code: what functions, classes and transforms come to, and what they name."""

import dis
import hashlib
import inspect
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial, partialmethod
from pathlib import Path
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LIBRARIES = frozenset({"torch", "torchvision", "timm", "transformers"})
"""Packages whose classes do what their names, weights and settings say; of others, the code counts."""

CONSTANT = (bool, int, float, complex, str, bytes, type(None))

WRAPPED = (FunctionType, MethodType, staticmethod, classmethod, property, cached_property, partial, partialmethod)
"""What holds code, beside classes."""

HELD = (*CONSTANT, list, tuple, dict, set, frozenset, np.ndarray, Tensor)
"""What may stand in a class beside code and be part of what that does."""


def code_sha256(*roots: Any, known: Iterable[Any] = ()) -> str:
    """Return the sha256 of the user's own code that functions, classes and transforms come to.

    Of functions, methods and properties it has the code, the defaults, what they enclose, and what they name of their
    module: functions, classes, numbers, arrays; of classes all of these; and the source of the file that each is in. Of
    a script (`__main__`), in which what is asked for stands, too, what is named counts and not the file. Of libraries
    names count.

    Args:
        roots: The functions, classes and transforms.
        known: Objects that are told otherwise.
    """
    told, seen, sources = hashlib.sha256(), {id(one): one for one in known}, dict[str, bytes]()
    waiting = deque(roots)
    own = frozenset(_package(_module_of(root)) for root in waiting) - LIBRARIES
    while waiting:
        one = waiting.popleft()
        if isinstance(one, CONSTANT):
            told.update(repr(one).encode())
        elif id(one) not in seen:
            seen[id(one)] = one  # its identity is not given to another meanwhile
            said, parts = _told(one, own)
            told.update(said)
            waiting.extend(parts)
            if isinstance(one, FunctionType | type) and _is_own(one.__module__, own):
                told.update(sources.setdefault(one.__module__, _source(one.__module__)))
    return told.hexdigest()


Told = tuple[bytes, list[Any]]
"""What tells a thing from others, and what it comes to, which is told after it."""


def _told(one: Any, own: frozenset[str]) -> Told:
    match one:
        case FunctionType():
            return _of_function(one, own)
        case MethodType():
            return b"method", [one.__func__, one.__self__]
        case staticmethod() | classmethod():
            return type(one).__name__.encode(), [one.__func__]
        case property():
            return b"property", [one.fget, one.fset]
        case cached_property():
            return b"property", [one.func]
        case partial() | partialmethod():
            return b"partial", [one.func, one.args, one.keywords]
        case type():
            return _of_class(one, own)
        case dict():
            return repr([_key(key) for key in one]).encode(), list(one.values())
        case list() | tuple():
            return str(len(one)).encode(), list(one)
        case set() | frozenset():
            return repr(sorted(map(_key, one))).encode(), []  # the order of a set is another in every process
        case np.ndarray() | Tensor():
            return _of_array(one), []
    return _of_object(one, own)


def _key(key: Any) -> str:
    return repr(key) if isinstance(key, CONSTANT) else type(key).__qualname__


def _of_array(one: Any) -> bytes:
    if isinstance(one, Tensor):
        content = one.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    else:
        content = b"" if one.dtype.hasobject else one.tobytes()
    return f"{one.dtype} {list(one.shape)} {hashlib.sha256(content).hexdigest()}".encode()


def _of_object(one: Any, own: frozenset[str]) -> Told:
    kind = type(one)
    name = f"{kind.__module__}.{kind.__qualname__} {getattr(one, '__qualname__', '')}".encode()
    package = _package(kind.__module__)
    made_of = isinstance(one, nn.Module) or package in LIBRARIES - {"torch"} or _is_own(kind.__module__, own)
    return name, [kind, getattr(one, "__dict__", {})] if made_of else []


def _of_class(one: type, own: frozenset[str]) -> Told:
    name = f"{one.__module__}.{one.__qualname__}"
    if not _is_own(one.__module__, own):
        return name.encode(), []
    held = {key: value for key, value in sorted(vars(one).items()) if _counts(key, value)}
    return f"{name} {list(held)}".encode(), [*one.__bases__, *held.values()]


def _counts(key: str, value: Any) -> bool:
    """Return whether an attribute of a class is part of what it does, which what Python notes of it is not."""
    return isinstance(value, (*WRAPPED, type)) or (isinstance(value, HELD) and not key.startswith("__"))


def _of_function(one: FunctionType, own: frozenset[str]) -> Told:
    enclosed = [_content(cell) for cell in one.__closure__ or ()]
    if not _is_own(one.__globals__.get("__name__", ""), own):  # where it encloses a user's function, it wraps it
        return f"{one.__module__}.{one.__qualname__}".encode(), enclosed
    code = list(_codes(one.__code__))
    named = [value for each in code for value in _named(each, one.__globals__, own)]
    return b"".join(map(_of_code, code)), [one.__defaults__, one.__kwdefaults__, enclosed, *named]


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing has been put there yet
        return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a function's code, and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _of_code(code: CodeType) -> bytes:
    told = hashlib.sha256(code.co_code)
    told.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for constant in code.co_consts:
        if not isinstance(constant, CodeType):  # the order of a set is another in every process
            told.update(repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant).encode())
    return told.digest()


def _named(code: CodeType, names: Mapping[str, Any], own: frozenset[str]) -> Iterator[Any]:
    """Yield what code reads of its module and does not write there, and of the user's own modules in it."""
    steps = [(one.opname, one.argval) for one in dis.get_instructions(code)]
    read = {name for step, name in steps if step in ("LOAD_GLOBAL", "LOAD_NAME")}
    read -= {name for step, name in steps if step == "STORE_GLOBAL"}
    for value in [names[name] for name in code.co_names if name in read and name in names]:
        if not isinstance(value, ModuleType):
            yield value
        elif _is_own(value.__name__, own):
            yield from (vars(value)[name] for name in code.co_names if name in vars(value))


def _is_own(module: str, own: frozenset[str]) -> bool:
    """Return whether a module is the user's own, or of a package that counts as such: not of Python, a library, ours.

    Args:
        module: Its name.
        own: Packages of which the user's model or transform is, wherever they are installed.
    """
    package = _package(module)
    if package in (*LIBRARIES, "oodbench", "methods") or (package != "__main__" and package in sys.stdlib_module_names):
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return package in own or not {"site-packages", "dist-packages"} & set(Path(file).parts)


def _module_of(one: Any) -> str:
    return getattr(one, "__module__", None) or type(one).__module__


def _package(module: str) -> str:
    return module.partition(".")[0]


def _source(module: str) -> bytes:
    """Return the source of a module's file; nothing of a script, or where there is none."""
    try:
        return b"" if module == "__main__" else inspect.getsource(sys.modules[module]).encode()
    except (KeyError, TypeError, OSError):
        return b""
