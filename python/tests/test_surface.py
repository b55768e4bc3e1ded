"""What the package offers is what it says, is documented, and is used by a test."""

import inspect
import re
from importlib.metadata import version
from pathlib import Path
from typing import Iterator, Tuple

import aldis
from aldis import archive, errors

SAID = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path.name != "test_surface.py") + "__version__"
WORDS = set(re.findall(r"\w+", SAID))
STUBS = (Path(aldis.__file__).parent / "_native.pyi").read_text()


def offered() -> Iterator[Tuple[str, object]]:
    """Every public name, and every public member of what is a class."""
    for module in (aldis, archive, errors):
        names = getattr(module, "__all__", [name for name in vars(module) if name.endswith("Error")])
        for name in names:
            thing = getattr(module, name)
            yield name, thing
            if isinstance(thing, type):
                for member in vars(thing):
                    if not member.startswith("_"):
                        yield f"{name}.{member}", vars(thing)[member]


def test_names_are_there() -> None:
    for module in (aldis, archive):
        assert sorted(module.__all__) == sorted(set(module.__all__))
        assert all(hasattr(module, name) for name in module.__all__)


def test_every_name_is_used_by_a_test() -> None:
    never = {
        # Of failing systems, of bugs, and of archives that no writer makes: the tests of the crate make those.
        "FailedError", "HeaderError", "InconsistentError", "LineTooLongError", "PanickedError", "ThreadError",
        "TooCostlyError", "TooManyFramesError", "VersionError",
    }  # fmt: skip
    unused = {name for name, _ in offered() if name.split(".")[-1] not in WORDS}
    assert unused == never


def test_the_version_is_that_of_the_distribution() -> None:
    assert aldis.__version__ == version("aldis")


def test_every_class_says_what_it_is() -> None:
    for name, thing in offered():
        if inspect.isclass(thing):
            assert inspect.getdoc(thing), name
            assert thing.__module__.split(".")[0] == "aldis", name


def test_every_class_of_the_library_is_in_the_stubs() -> None:
    for name, thing in offered():
        if isinstance(thing, type) and hasattr(aldis._native, name):  # type: ignore[attr-defined] # pyright: ignore
            assert f"class {name}" in STUBS, name


def test_every_code_is_of_one_exception() -> None:
    codes = [kind.code for name, kind in vars(errors).items() if name.endswith("Error") and issubclass(kind, errors.Error)]
    assert len(codes) == len(set(codes)) > 20
