"""Enumerations."""

import enum
from typing import Optional


class EventType(enum.Enum):
    """How severe an event is. Members are ordered: `EventType.DEBUG < EventType.INFO`."""

    DEBUG = "DEBUG"
    """For whoever looks for a fault."""
    INFO = "INFO"
    """What happens when all is well."""
    WARNING = "WARNING"
    """What may become an error."""
    ERROR = "ERROR"
    """What failed."""

    @classmethod
    def _missing_(cls, value: object) -> Optional["EventType"]:
        return cls.__members__.get(value.upper()) if isinstance(value, str) else None

    @property
    def _rank(self) -> int:
        return list(EventType).index(self)

    def __lt__(self, other: object) -> bool:
        return self._rank < other._rank if isinstance(other, EventType) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._rank <= other._rank if isinstance(other, EventType) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._rank > other._rank if isinstance(other, EventType) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._rank >= other._rank if isinstance(other, EventType) else NotImplemented


class Stage(str, enum.Enum):
    """What a pipeline does with a frame."""

    READ = "read"
    COMPRESS = "compress"
    ENCRYPT = "encrypt"
    DECRYPT = "decrypt"
    DECOMPRESS = "decompress"
    WRITE = "write"


class Direction(str, enum.Enum):
    """Which way a pipeline goes."""

    SEAL = "seal"
    OPEN = "open"
