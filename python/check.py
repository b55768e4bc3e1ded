"""Builds the package as `pip install` does, and tests it on every CPython of this machine; or measures it.

    python3 check.py tests      the tests on each interpreter, the types, the stable ABI
    python3 check.py bench ...  bench/emit.py beside its peers, in a release build

Everything goes into the target folder. The last line says how many passed, failed and were skipped.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterable, List, Tuple
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parent / "target").resolve() / "python"
# Seconds after which a command has failed, and after which a test says where it stands.
LONGEST = 3600
HANGS = 600
# Seconds that an interpreter may take to say what it is.
ANSWERS = 300
# Seconds before what could not be fetched is tried again.
PAUSES = (5, 30)
NAMES = [f"python3.{minor}" for minor in range(9, 20)]


def run(*command: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command; what it says is shown if it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=WORK,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        done = subprocess.CompletedProcess(words, 124, f"{said}\nended: it took longer than {LONGEST} s")
    if done.returncode != 0:
        print("$", *command)
        print(done.stdout, flush=True)
    return done


def must(*command: object, **environment: str) -> None:
    if run(*command, **environment).returncode != 0:
        sys.exit(f"failed: {command[0]}")


def fetched(*command: object, **environment: str) -> None:
    """Runs a command that fetches something, a few times if it fails."""
    for pause in PAUSES:
        if run(*command, **environment).returncode == 0:
            return
        time.sleep(pause)
    must(*command, **environment)


def order(version: str) -> Tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def unusable(place: str, name: str) -> Tuple[str, str]:
    """The version of an interpreter, as its name has it if it does not say, and why it cannot be tested; nothing if it can be."""
    asks = (
        "import sys, sysconfig; "
        "print('%d.%d' % sys.version_info[:2], sys.implementation.name, sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
    )
    try:
        answer = subprocess.run([place, "-c", asks], capture_output=True, text=True, check=False, timeout=ANSWERS)
        said = answer.stdout.split()
        if answer.returncode != 0 or len(said) != 3:
            return name, f"{place} does not run: {(answer.stderr.strip().splitlines() or ['it says nothing'])[-1]}"
        version, implementation, is_free = said
        if implementation != "cpython":
            return version, f"{place} is {implementation}"
        if is_free != "0":
            return version, f"{place} is free-threaded, and the extension asks for the GIL"
        needs = subprocess.run([place, "-c", "import venv, ensurepip"], capture_output=True, text=True, check=False, timeout=ANSWERS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return name, f"{place} does not run: {error}"
    if needs.returncode != 0:
        return version, f"{place} makes no environments: {(needs.stderr.strip().splitlines() or ['it says nothing'])[-1]}"
    return version, ""


def interpreters(places: Iterable[Tuple[str, str]]) -> Tuple[List[Tuple[str, str]], List[str]]:
    """Every CPython from 3.9 with threads that hold the GIL, once for each version; and a line for each version that is there and cannot be
    tested."""
    found: Dict[str, str] = {}
    unfit: Dict[str, str] = {}
    for place, name in places:
        version, why = unusable(place, name)
        if order(version) >= (3, 9):
            (unfit if why else found).setdefault(version, why or place)
    skipped = [f"skipped: CPython {version}: {why}" for version, why in unfit.items() if version not in found]
    return sorted(found.items(), key=lambda item: order(item[0])), skipped


def places() -> List[Tuple[str, str]]:
    """Where interpreters may be, and which versions their names say that they are."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "/nowhere")) / "versions"
    found = [(str(path), name) for name in NAMES for path in sorted(pyenv.glob(f"*/bin/{name}"))]
    found += [(place, name) for name, place in ((name, shutil.which(name)) for name in NAMES) if place]
    own = "%d.%d" % sys.version_info[:2]
    return [(place, name[len("python") :]) for place, name in found] + [(sys.executable, own)]


def environment(name: str, python: str, requirements: Path) -> Path:
    """An environment with what is pinned; its interpreter."""
    folder = WORK / name
    stamp = folder / "installed"
    wanted = requirements.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        must(python, "-m", "venv", "--clear", folder)
        fetched(folder / "bin/python", "-m", "pip", "install", "--quiet", "-r", requirements)
        stamp.write_text(wanted)
    return folder / "bin/python"


def wheel(python: Path, profile: str) -> Path:
    """The wheel, built in isolation from the sources as `pip install .` builds it."""
    out = WORK / "wheels" / profile
    shutil.rmtree(out, ignore_errors=True)
    fetched(
        python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, HERE,
        MATURIN_PEP517_ARGS=f"--profile {profile}",
    )  # fmt: skip
    (built,) = out.glob("*.whl")
    return built


def install(python: Path, built: Path) -> None:
    must(python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", built)


class Tally:
    def __init__(self) -> None:
        self.passed = self.failed = 0
        self.skipped: List[str] = []

    def one(self, name: str, done: "subprocess.CompletedProcess[str]") -> None:
        print(f"{name} ... {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
        self.passed += done.returncode == 0
        self.failed += done.returncode != 0

    def pytest(self, name: str, python: Path) -> None:
        report = WORK / f"report-{name}.xml"
        done = run(python, "-m", "pytest", "-c", HERE / "pyproject.toml", HERE / "tests", f"--junitxml={report}", "-o", f"faulthandler_timeout={HANGS}")
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
        report.unlink() if report.exists() else None
        bad = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
        skipped = [(case, skip) for case in cases for skip in case.iter("skipped")]
        self.passed += len(cases) - bad - len(skipped)
        self.failed += max(bad, int(done.returncode != 0))
        for case, skip in skipped:
            self.skipped.append(f"skipped: {case.get('name')} on {name}: {skip.get('message')}")
        print(f"CPython {name}: {len(cases)} tests ... {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)


def tests() -> int:
    tally = Tally()
    tools = environment("tools", sys.executable, HERE / "requirements.txt")
    built = wheel(tools, "dev")
    install(tools, built)
    binaries = tools.parent
    tally.one("stable ABI (abi3audit)", run(binaries / "abi3audit", "--strict", built))
    allowed = HERE / "tests/stubtest-allowed.txt"
    tally.one("stubs (stubtest)", run(tools, "-m", "mypy.stubtest", "aldis", "--allowlist", allowed))
    # It asks nobody for a newer one, and runs on what is pinned.
    pinned = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "PYRIGHT_PYTHON_GLOBAL_NODE": "0", "PYRIGHT_PYTHON_FORCE_VERSION": ""}
    tally.one("types of package and tests (pyright)", run(binaries / "pyright", "--pythonpath", tools, "-p", HERE, **pinned))
    complete = run(
        binaries / "pyright", "--verifytypes", "aldis", "--ignoreexternal",
        PATH=f"{binaries}{os.pathsep}{os.environ['PATH']}", **pinned,
    )  # fmt: skip
    tally.one("types are complete (pyright)", complete)
    usable, skipped = interpreters(places())
    tally.skipped += skipped
    for version, python in usable:
        own = environment(version, python, HERE / "tests/requirements.txt")
        install(own, built)
        tally.pytest(version, own)
    for line in tally.skipped:
        print(line)
    print(f"{tally.passed} passed, {tally.failed} failed, {len(tally.skipped)} skipped")
    return int(tally.failed > 0)


def bench(arguments: List[str]) -> int:
    tools = environment("tools", sys.executable, HERE / "requirements.txt")
    install(tools, wheel(tools, "release"))
    return subprocess.run([tools, HERE / "bench/emit.py", *arguments], check=False).returncode


def main() -> int:
    WORK.mkdir(parents=True, exist_ok=True)
    if sys.argv[1:] == ["tests"]:
        return tests()
    if sys.argv[1:2] == ["bench"]:
        return bench(sys.argv[2:])
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
