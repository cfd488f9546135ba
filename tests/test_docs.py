"""The documentation builds, and what it shows works: every command, every file, every link."""

import doctest
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest
import torch
import typer

from offmap.catalog import measures
from offmap.cli import app
from offmap.testing import check_card, check_claim

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```", re.MULTILINE | re.DOTALL)
QUICK = ["--measures", "generalization_gap,calibration_error", "--threads", "1"]


def blocks(page: Path, language: str) -> Iterator[tuple[str, str]]:
    """Title and content of each block in a language."""
    for kind, title, content in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == language:
            yield title, content


def commands(page: Path) -> list[list[str]]:
    """Each `offmap` command in the shell blocks, as arguments."""
    lines = "\n".join(content for _, content in blocks(page, "bash")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("offmap ")]


def named(arguments: list[str]) -> tuple[Any, list[str]]:
    """The command that arguments begin with, those of groups included, and the rest of them."""
    found: Any = typer.main.get_command(app)
    while hasattr(found, "commands"):
        found, arguments = found.commands[arguments[0]], arguments[1:]
    return found, arguments


def served(arguments: list[str]) -> str:
    """Run a command that serves until it is stopped; what it says of its health."""
    with subprocess.Popen(
        [sys.executable, "-m", "offmap", *arguments, "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        said = []
        for line in process.stdout or ():
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                with urlopen(f"{found[0]}/v2/health/ready") as answer:
                    said.append(f"{answer.status}")
                break
        process.send_signal(signal.SIGTERM)
        said.append(process.communicate(timeout=60)[0])
    assert process.returncode in (0, -signal.SIGTERM), said  # it ends as it was told to
    return "".join(said)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py."""
    return loaded("docs_generate", ROOT / "docs" / "generate.py")


def loaded(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------------------------ the site


def test_site_is_whole_and_asks_no_other_server(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {
        path.parent.name: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")
    }
    assert measures().keys() <= pages.keys()
    loads = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*(?:https?:)?//[^>]*>")
    for name, page in pages.items():
        assert not [tag for tag in loads.findall(page) if "canonical" not in tag], name
    for style in tmp_path.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text(encoding="utf-8")), style
    assert not list(tmp_path.rglob("generate.py"))


def test_every_measure_has_a_page_without_markup_left_over(generate):
    pages = generate.pages()
    for name, unit in measures().items():
        page = pages[f"measures/{name}.md"]
        assert not re.search(r"\\[a-z]|math::|:math:|^(Args|Raises|Returns):", page, re.MULTILINE)
        for said in (unit.asks, unit.read, unit.caution, unit.next_step, unit.paper.url):
            assert said in page
        assert all(f"| `{setting}` |" in page for setting in unit.settings)
        assert "|  |\n" not in page.partition("## Settings")[2].partition("## Needs")[0], (
            f"{name}: every setting needs a line among the Args of its docstring"
        )
        assert f"[{name}]({name}.md)" in pages["measures/index.md"]


# ---------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page, generate):
    links = re.findall(r"\]\(([^)#\s]+)", BLOCK.sub("", page.read_text(encoding="utf-8")))
    made = {*generate.pages(), "measures/"}
    local = [link for link in links if "://" not in link and link not in made]
    assert not [link for link in local if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_exist(page):
    for written in commands(page):
        command, arguments = named(written)
        known = {flag for option in command.params for flag in option.opts}
        used = {argument for argument in arguments if re.match(r"--?[A-Za-z]", argument)}
        assert used <= known, f"offmap {' '.join(written)}: {used - known}"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """Where a reader of the quickstart stands, with the files that it makes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for title, content in blocks(ROOT / "docs" / "quickstart.md", "python"):
        if title:
            (tmp_path / title).write_text(content, encoding="utf-8")
    with torch.random.fork_rng():
        exec((tmp_path / "prepare.py").read_text(encoding="utf-8"), {})
    yield tmp_path
    for name in ("net", "run"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("page", ["docs/quickstart.md", "README.md"])
def test_what_is_shown_works(page, folder, capsys):
    shown = [command for command in commands(ROOT / page) if "--demo" not in command]
    assert len(shown) >= 5
    for command in shown:
        if command[:2] == ["guard", "serve"]:
            assert "200" in served(command)
            continue
        quick = QUICK if command[0] in ("audit", "plan") else []
        assert app([*command, *quick], standalone_mode=False) in (None, 0), command
    said = capsys.readouterr().out
    assert "readings, about" in said
    assert "gate passed" in said
    scripts = [content for title, content in blocks(ROOT / page, "python") if not title]
    assert scripts
    for script in scripts:
        exec(script, {})
    assert re.search(r"\d\.\d+ \[-?\d", capsys.readouterr().out)
    assert list(folder.glob("*/report.html"))


def test_the_guard_is_as_shown(folder, capsys):
    page = ROOT / "docs" / "guard.md"
    for command in commands(page):
        if command[:2] == ["guard", "serve"]:
            assert "200" in served(command)
        else:
            assert app(command, standalone_mode=False) in (None, 0), command
    said = capsys.readouterr().out
    assert "Take " in said and "Promise: refuses" in said and "nearest training example" in said
    assert "# Guard of digits" in (folder / "guard.md").read_text(encoding="utf-8")
    for title, script in blocks(page, "python"):
        assert not title
        exec(script, {})
    assert "False" in capsys.readouterr().out  # noise was refused
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert tried and not failed


def test_the_examples_of_the_kernels_give_what_they_say():
    with torch.random.fork_rng():
        failed, tried = doctest.testfile(str(ROOT / "docs/geometry.md"), module_relative=False)
    assert tried > 20 and not failed


def test_the_lab_is_as_shown(folder, capsys):
    page = ROOT / "docs" / "lab.md"
    for command in commands(page):
        assert app(command, standalone_mode=False) in (None, 0), command
    assert "What holds: " in capsys.readouterr().out
    assert list(folder.glob("lab/smoke/what_holds.html"))
    for title, script in blocks(page, "python"):
        if not title:
            exec(script, {})
    assert capsys.readouterr().out.startswith("supported ")


def test_the_example_claim_works(tmp_path, monkeypatch, generator):
    """The two files of docs/lab.md: the tests of the second pass on the first, and all laws."""
    name, module, cases = example("docs/lab.md", tmp_path, monkeypatch)
    check_claim(getattr(module, name))
    assert len(cases) == 2
    for case in cases:
        case(generator=generator.manual_seed(0))


def example(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ModuleType, list[Callable[..., None]]]:
    """The first file that a page shows, as a module, and the tests of the second."""
    (at, text), (_, tests) = [
        (title, content) for title, content in blocks(ROOT / page, "python") if title
    ]
    dotted = at.removeprefix("src/").removesuffix(".py").replace("/", ".")
    name = dotted.rpartition(".")[2]
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    module = loaded(dotted, file)
    monkeypatch.setitem(sys.modules, dotted, module)
    found: dict[str, Any] = {}
    exec(compile(tests, "test_example.py", "exec"), found)
    return name, module, [case for title, case in found.items() if title.startswith("test_")]


def test_the_example_measure_works(tmp_path, monkeypatch, generator):
    """The two files of docs/adding.md: the tests of the second pass on the first."""
    name, module, cases = example("docs/adding.md", tmp_path, monkeypatch)
    check_card(getattr(module, name))
    assert len(cases) == 5
    for case in cases:
        case(generator=generator.manual_seed(0))
