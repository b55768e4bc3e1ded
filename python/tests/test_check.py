"""What tests the package says what it does not test."""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List, Tuple

import pytest


@pytest.fixture
def check() -> Any:
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "check.py")))


def interpreter(folder: Path, name: str, script: str) -> Tuple[str, str]:
    """A program that says what an interpreter would say."""
    place = folder / name
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return str(place), name.split("-")[0][len("python") :]


def test_an_interpreter_that_cannot_be_tested_is_told_of(check: Any, tmp_path: Path) -> None:
    says = "case \"$2\" in *ensurepip*) {0} ;; *) echo {1} ;; esac"
    places: List[Tuple[str, str]] = [
        interpreter(tmp_path, "python3.9", "echo no such version >&2; exit 127"),
        interpreter(tmp_path, "python3.10", says.format("echo no ensurepip >&2; exit 1", "3.10 cpython 0")),
        interpreter(tmp_path, "python3.12", says.format("true", "3.12 pypy 0")),
        interpreter(tmp_path, "python3.13", says.format("true", "3.13 cpython 1")),
        interpreter(tmp_path, "python3.8", "exit 1"),
        (str(tmp_path / "python3.14"), "3.14"),
        # Another one of the same version will do.
        interpreter(tmp_path, "python3.15", "exit 1"),
        interpreter(tmp_path, "python3.15-two", says.format("true", "3.15 cpython 0")),
        interpreter(tmp_path, "python3.15-three", says.format("true", "3.15 cpython 0")),
    ]
    usable, skipped = check.interpreters(places)
    assert usable == [("3.15", str(tmp_path / "python3.15-two"))]
    assert [line.split(": ")[:2] for line in skipped] == [
        ["skipped", f"CPython {version}"] for version in ("3.9", "3.10", "3.12", "3.13", "3.14")
    ]
    whys = ["no such version", "no ensurepip", "is pypy", "free-threaded", "does not run"]
    assert all(why in line for why, line in zip(whys, skipped)), skipped


def test_this_interpreter_can_be_tested(check: Any) -> None:
    own = "%d.%d" % sys.version_info[:2]
    assert check.unusable(sys.executable, "3.0") == (own, "") and own in dict(check.interpreters(check.places())[0])
