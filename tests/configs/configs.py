"""Holds every configuration of the repository against others: the schema of `aldis config schema`, read by `jsonschema`, and the
OpenTelemetry Collector's own `validate`.

    configs.py --aldis BINARY --collector BINARY ROOT

Files are read by `ruamel.yaml` (YAML 1.2), so that neither YAML nor schema is read by what wrote it. The last line is
`N passed, M failed, K skipped`.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

import jsonschema
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

CONFIGS = pathlib.Path("crates/engine/testdata/configs")

# What configurations in the wild find in their environment.
ENVIRONMENT = {
    "MY_POD_IP": "127.0.0.1", "MY_POD_NAME": "checkout-7f9c", "MY_NODE_NAME": "node-3", "VENDOR_API_KEY": "key",
    "INGEST_TOKEN": "a-token-that-nobody-guesses", "VENDOR_TOKEN": "another-token-that-nobody-guesses", "CERTS": "certs",
    "OUTPUT": "out",
}

# Problems that one value alone shows: a schema must find them, where `aldis check` does.
STRUCTURAL = [
    r"^unknown key `(?P<key>[^`]*)`$",
    r"^`(?P<key>[^`]*)` cannot be used yet$",
    r"^there is no \w+ of type `(?P<key>[^`]*)`$",
    r"^`(?P<key>[^`]*)` cannot be `",
    r"^`(?P<key>[^`]*)` takes ",
]


class Failure(Exception):
    pass


def read(file):
    return YAML(typ="safe", pure=True).load(file.read_text())


def found(errors, path=()):
    """Where errors are, as key paths: of the value that is wrong, or of the key that should not be there."""
    for error in errors:
        at = tuple(str(part) for part in error.absolute_path)
        yield at
        for key in re.findall(r"'([^']*)'", error.message) if error.validator == "additionalProperties" else []:
            yield at + (key,)
        yield from found(error.context or [])


def check(options, file):
    output = subprocess.run(
        [options.aldis, "check", "--json", str(file)], capture_output=True, env={**os.environ, **ENVIRONMENT})
    return json.loads(output.stdout)


def steps(problem, key):
    """The key path of a problem: `receivers.otlp`, `actions[0]`, and names that have dots in them are not among ours."""
    path = [step for step in re.split(r"[.\[\]]+", problem["path"]) if step]
    return tuple(path + [key])


def good_files_validate(options, validator):
    files = [file for file in options.root.rglob("*.yaml") if is_configuration(options, file)]
    good = [file for file in files if file.parent.name != "bad"]
    if len(good) < 10:
        raise Failure(f"only {good} were found")
    for file in good:
        told = [f"{file}: {'.'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(read(file))]
        if told:
            raise Failure("\n".join(told))


def is_configuration(options, file):
    """Whether it has the shape of one, and is no copy of a build."""
    parts = file.relative_to(options.root).parts
    if any(part.startswith(".") or part in ("target", "node_modules") for part in parts):
        return False
    text = file.read_text()
    return bool(re.search(r"^service:", text, re.M) and re.search(r"^receivers:", text, re.M))


def bad_keys_do_not_validate(options, validator):
    seen = 0
    for file in sorted((options.root / CONFIGS / "bad").glob("*.yaml")):
        try:
            tree = read(file)
        except YAMLError:
            continue
        if not isinstance(tree, dict):
            continue
        wrong = set(found(validator.iter_errors(tree)))
        for problem in check(options, file)["problems"]:
            matches = [re.match(pattern, problem["message"]) for pattern in STRUCTURAL]
            key = next((match.group("key") for match in matches if match), None)
            if key is None or problem["severity"] != "error":
                continue
            seen += 1
            at = steps(problem, key)
            # Of `type/name` the type is told; of a header the map that it is in.
            inside = [path for path in wrong if path[:len(at) - 1] == at[:-1] and len(path) >= len(at)]
            near = [path for path in inside if path[len(at) - 1].split("/")[0] == key or path[-1] == key]
            if not near:
                raise Failure(f"{file}: the schema does not see {'.'.join(at)}: {problem['message']}\n{sorted(wrong)}")
    if seen < 20:
        raise Failure(f"only {seen} problems of one value were seen")


def each_wrong_key_is_seen(options, validator):
    """A key that nobody knows, put into every map of every good file, one after another."""
    seen = 0
    for file in sorted((options.root / CONFIGS / "wild").glob("*.yaml")):
        tree = read(file)
        for place in maps(tree):
            place["no_such_key"] = 1
            # Valid it is where names are free: headers, labels, values of attributes.
            valid = validator.is_valid(tree)
            del place["no_such_key"]
            seen += not valid
        if not validator.is_valid(tree):
            raise Failure(f"{file} was not put back")
    if seen < 100:
        raise Failure(f"only {seen} wrong keys were seen")


def maps(tree):
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []:
        yield from maps(inner)


def collector_takes_what_is_in_the_wild(options, _):
    files = sorted((options.root / CONFIGS / "wild").glob("*.yaml"))
    for file in files:
        output = subprocess.run(
            [options.collector, "validate", "--config", str(file)], capture_output=True, env={**os.environ, **ENVIRONMENT})
        if output.returncode:
            raise Failure(f"{file}: {output.stderr.decode()}")
    bad = options.root / CONFIGS / "bad/everything.yaml"
    if not subprocess.run([options.collector, "validate", "--config", str(bad)], capture_output=True).returncode:
        raise Failure("the Collector takes a file that is wrong")
    if len(files) < 6:
        raise Failure(f"only {files} were found")


TESTS = [
    good_files_validate, bad_keys_do_not_validate, each_wrong_key_is_seen, collector_takes_what_is_in_the_wild,
]


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--aldis", "--collector"):
        arguments.add_argument(name, required=True)
    arguments.add_argument("root", type=pathlib.Path)
    options = arguments.parse_args()
    schema = json.loads(subprocess.check_output([options.aldis, "config", "schema"]))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failed = 0
    for test in TESTS:
        try:
            test(options, validator)
            print(f"{test.__name__} ... ok", flush=True)
        except Exception as failure:
            failed += 1
            print(f"{test.__name__} ... FAILED: {failure}", flush=True)
    print(f"{len(TESTS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
