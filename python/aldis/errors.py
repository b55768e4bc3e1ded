"""Exceptions. Each has a `code` for programs, the same as in Rust."""

from typing import ClassVar, Dict


class Error(Exception):
    """What the library raises."""

    code: ClassVar[str] = "error"


class ConfigError(Error, ValueError):
    """A setting is out of its range: change it."""

    code = "config"
    setting: str = ""
    """The name of the setting."""


class FlushError(Error):
    """Not everything was stored."""

    code = "flush"


class FlushTimeoutError(FlushError, TimeoutError):
    """The time was over: try again, or look at the storage."""

    code = "flush_timeout"
    remaining: int = 0
    """Records that were accepted and are not stored yet."""


class FlushStoppedError(FlushError):
    """The stream was stopped before everything was stored: start one, or flush again, which hands out what remains."""

    code = "flush_stopped"
    remaining: int = 0
    """Records that were accepted and are not stored."""


class NotSyncedError(FlushError):
    """The storage could not sync: what it has stored may not survive a crash of the machine."""

    code = "not_synced"


class WhileStoringError(FlushError):
    """A storage asked for it while it was storing for this collector: it would wait for itself."""

    code = "while_storing"


class StreamError(Error):
    """A stream did not start, or took no consumer."""

    code = "stream"


class AlreadyStreamingError(StreamError):
    """Another stream takes from this collector: stop that one first."""

    code = "already_streaming"


class TooManySubscribersError(StreamError):
    """There are as many consumers, or listeners, as there may be."""

    code = "too_many_subscribers"


class ThreadError(StreamError):
    """The system refused a thread: free resources and try again."""

    code = "thread"


class StopError(Error):
    """A stream left something behind when it was stopped."""

    code = "stop_incomplete"
    unstored: int = 0
    """Records that were not stored in time. They are in the collector."""
    is_synced: bool = True
    """Whether the storage could sync what it has stored."""
    unseen: Dict[int, int] = {}
    """Records that were not shown to a consumer in time, by its number."""


class StopFromWithinError(StopError):
    """A consumer of the stream, or its storage, asked for it: it would wait for itself. The stream goes on; stop it on another thread."""

    code = "stop_from_within"


class StorageError(Error):
    """A storage did not do what it was asked to. One that a storage written in Python raises may say how much is stored."""

    code = "storage"
    stored: int = 0
    """Records of the batch that are stored all the same: the first ones, but for those that were refused by themselves."""

    def __init__(self, *arguments: object, stored: int = 0) -> None:
        super().__init__(*arguments)
        self.stored = stored


class ArchiveError(Error):
    """An archive cannot be sealed or opened."""

    code = "archive"


class NotAnArchiveError(ArchiveError):
    """It begins as no archive does: give another file."""

    code = "not_an_archive"


class VersionError(ArchiveError):
    """It is an archive of a version that this program does not know: use a newer one."""

    code = "version"


class HeaderError(ArchiveError):
    """The header says what no writer of its version writes."""

    code = "header"


class HeaderDamagedError(HeaderError):
    """The header is not as it was written: fetch the file again."""

    code = "header_damaged"


class WrongKeyError(ArchiveError):
    """The key, the password or the context is another than it was sealed with. Nothing was decrypted."""

    code = "wrong_key"


class NeedsPasswordError(WrongKeyError):
    """It was sealed with a password, and a key was given."""

    code = "needs_password"


class NeedsKeyError(WrongKeyError):
    """It was sealed with a key, and a password was given."""

    code = "needs_key"


class TooCostlyError(ArchiveError):
    """The header asks for more memory or time to check a password than is granted: it may be an attack."""

    code = "too_costly"


class CorruptError(ArchiveError):
    """A frame is not as it was written, or not where it was. What was released before it is a true beginning."""

    code = "corrupt"
    frame: int = 0
    """Number of the frame, from 0."""
    offset: int = 0
    """Where it begins in the file."""


class TruncatedError(ArchiveError, EOFError):
    """It ends before its end: what was released is a true beginning, the rest is missing."""

    code = "truncated"
    offset: int = 0
    """Bytes that are there."""


class TrailingDataError(ArchiveError):
    """Something stands behind the end."""

    code = "trailing_data"
    offset: int = 0
    """Where it begins in the file."""


class InconsistentError(ArchiveError):
    """Frames are authentic and contradict each other: a bug of the program that sealed it."""

    code = "inconsistent"


class TooLongError(ArchiveError):
    """The plaintext is longer than the caller allows."""

    code = "too_long"


class TooManyFramesError(ArchiveError):
    """More frames than an archive can number: choose larger frames."""

    code = "too_many_frames"


class LineTooLongError(ArchiveError):
    """A line is too long to be looked for by its time: take a range of bytes."""

    code = "line_too_long"


class NoTimesError(ArchiveError):
    """The index has no time of anything: seal the lines with `times`, or take a range of bytes."""

    code = "no_times"


class SettingsError(ArchiveError, ValueError):
    """A setting is outside of its limits."""

    code = "settings"


class KeyFormatError(ArchiveError, ValueError):
    """What was given is no key or password."""

    code = "key"


class FailedError(ArchiveError):
    """An earlier error ended this archive."""

    code = "failed"


class PanickedError(ArchiveError):
    """A worker panicked: a bug of this program."""

    code = "panicked"
