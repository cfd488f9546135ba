"""What is said about the package agrees with itself: requirements, constraints, versions, files."""

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import entry_points, packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def requirements(lines: Iterable[str]) -> dict[str, Requirement]:
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


RUNTIME = requirements(PROJECT["dependencies"])
DEVELOPMENT = RUNTIME | requirements(EXTRAS["dev"])
PINNED = requirements(
    line
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


BY_NAME = {"files", "pytest.importorskip"}


def modules_imported(file: Path) -> set[str]:
    """Top-level names of what a file imports, wherever in it, by statement or by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module)
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
                found |= {name} if ast.unparse(function) in BY_NAME else set()
    return {name.partition(".")[0] for name in found}


def undeclared(
    part: str, declared: Iterable[str], leave: Iterable[str] = ()
) -> dict[str, set[str]]:
    """Third-party modules that no declared distribution offers, by file of a folder."""
    offers = packages_distributions()
    files = [
        file for file in (ROOT / part).rglob("*.py") if str(file.relative_to(ROOT)) not in leave
    ]
    own = {"offmap"}
    if part != "src":  # these are no package: they import what lies beside them
        own |= {name for file in files for name in (file.stem, file.parent.name)}
    allowed = {canonicalize_name(name) for name in declared}
    found = {
        str(file.relative_to(ROOT)): {
            name
            for name in modules_imported(file) - set(sys.stdlib_module_names) - own
            if not allowed & {canonicalize_name(given) for given in offers.get(name, [])}
        }
        for file in files
    }
    return {file: names for file, names in found.items() if names}


def test_constraints_pin_everything_that_is_asked_for():
    assert not DEVELOPMENT.keys() - PINNED.keys()
    for name, pinned in PINNED.items():
        (only,) = pinned.specifier
        assert only.operator == "==", f"{name}: expected an exact version"
        assert "+" not in only.version, f"{name}: a local version exists on one machine alone"
        assert pinned.url is None
        asked = DEVELOPMENT.get(name)
        assert asked is None or asked.specifier.contains(only.version), name


@pytest.mark.skipif(
    "CI" not in os.environ, reason="constraints.txt is what CI runs with: set CI=true to compare"
)
def test_the_tests_run_on_the_constraints():
    wrong = {
        name: version(name)
        for name in DEVELOPMENT
        if not PINNED[name].specifier.contains(version(name), prereleases=True)
    }
    assert not wrong, f"installed is another version than constraints.txt says: {wrong}"


def test_nothing_is_capped():
    """A pin from above breaks the user's environment, and not only ours."""
    asked = [*RUNTIME.values(), *(Requirement(line) for extra in EXTRAS.values() for line in extra)]
    capped = [
        str(r) for r in asked if any(s.operator in ("<", "<=", "==", "~=") for s in r.specifier)
    ]
    assert not capped


def test_what_is_imported_is_declared():
    extras = {"src/offmap/engine/ray.py": "ray"}
    folder = ROOT / "src/offmap/guard/serve"
    extras |= {str(file.relative_to(ROOT)): "serve" for file in folder.rglob("*.py")}
    without = undeclared("src", RUNTIME)
    assert without.keys() <= extras.keys()
    assert {extras[file] for file in without} == set(extras.values())  # so that a name can fail
    for name in set(extras.values()):
        own = [file for file, extra in extras.items() if extra != name]
        assert not undeclared("src", RUNTIME | requirements(EXTRAS[name]), leave=own)
    for part in ("tests", "examples", "benchmarks", "docs"):
        assert not undeclared(part, DEVELOPMENT)


def test_one_version_everywhere():
    said = PROJECT["version"]
    assert version("offmap") == said
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[?([\d.]+)", changes, re.MULTILINE)[1] == said  # type: ignore[index]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'version: "{said}"' in citation


def test_the_extras_are_those_of_the_design():
    assert EXTRAS.keys() == {"ray", "serve", "onnx", "faiss", "attacks", "lab", "hf", "dev"}
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_entry_points_are_installed():
    (command,) = entry_points(group="console_scripts", name="offmap")
    assert callable(command.load())
    for kind in ("measures", "scores"):
        (folder,) = entry_points(group=f"offmap.{kind}", name="offmap")
        assert folder.load().__name__ == f"offmap.{kind}"


def test_no_machine_paths():
    """Nothing names a place on the machine where it was written."""
    machine = re.compile(r"(?<![\w.])/(?:work|home|root|opt|tmp)/\w")
    texts = [
        file
        for part in ("src", "tests", "examples", "benchmarks", "docs", ".ci")
        for file in (ROOT / part).rglob("*")
        if file.is_file() and file.suffix in ("", ".py", ".md", ".yml", ".html", ".css", ".js")
        if "__pycache__" not in file.parts
    ]
    texts += [file for file in ROOT.iterdir() if file.is_file()]
    wrong = [
        f"{file.relative_to(ROOT)}: {found[0]}"
        for file in texts
        if (found := machine.search(file.read_text(encoding="utf-8", errors="ignore")))
    ]
    assert not wrong
