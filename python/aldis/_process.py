"""The end of the interpreter, and children that it forks."""

import atexit
import os
import sys
import time
from typing import Any

from aldis import _native

_PATIENCE = 5.0
"""Seconds that the end takes at most."""

_LAST = 1.0
"""Seconds of them that are left to those that an exception must end."""


class _Anchor:
    """What multiprocessing holds weakly as long as it is to call us."""


_anchor = _Anchor()
_is_known_to_multiprocessing = False


def register() -> None:
    """Has the library told of exits and forks, and know what it needs then."""
    _native.get_ready()
    atexit.register(_end)
    _tell_multiprocessing()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_tell_multiprocessing, after_in_child=_native.after_fork_in_child)


def _end() -> None:
    deadline = time.monotonic() + _PATIENCE
    stragglers = _native.at_exit(_PATIENCE - _LAST)
    if not stragglers:
        return
    # A thread that comes back to an interpreter that is no more brings the process down.
    try:
        import ctypes
    except ImportError:
        return
    for ident in stragglers:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))
    _native.at_exit(max(0.0, deadline - time.monotonic()))


def _tell_multiprocessing() -> None:
    """Children of multiprocessing end without atexit, and forget the finalizers of their parent when they begin."""
    global _is_known_to_multiprocessing
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_known_to_multiprocessing:
        _is_known_to_multiprocessing = True
        util.register_after_fork(_anchor, _in_child_of_multiprocessing)
        if sys.modules["multiprocessing"].parent_process() is not None:
            _in_child_of_multiprocessing(_anchor)


def _in_child_of_multiprocessing(_: object) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, _end, exitpriority=0)
