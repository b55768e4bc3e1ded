"""Exceptions of what the library says."""

from typing import Any, Iterator, Type

from aldis.errors import Error


def _family(of: Type[Error]) -> Iterator[Type[Error]]:
    yield of
    for child in of.__subclasses__():
        yield from _family(child)


_BY_CODE = {kind.code: kind for kind in _family(Error)}


def make(code: str, message: str, **known: Any) -> Error:
    """The exception of a code."""
    error = _BY_CODE.get(code, Error)(message)
    for name, value in known.items():
        setattr(error, name, value)
    return error
