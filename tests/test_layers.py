"""The layers of DESIGN, and the rules of the house that a parser can check.

A module may import from its own layer and from those below it. One line differs from DESIGN, which
puts `audit` below `report`: `audit()` returns a `Report` and saves it, so it stands above.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src" / "offmap"
FILES = sorted(ROOT.rglob("*.py"))
LAYERS = (
    {"numerics"},
    {"attempt", "files", "seeds", "table", "estimate", "figures", "run"},
    {"passes", "survey", "inputs", "reading"},
    {"measure", "score", "codec", "remedy", "train", "catalog", "sources", "models"},
    {"scores", "measures", "remedies"},
    {"plan", "engine", "guard"},
    {"report"},
    {"audit", "demo"},
    {"lab"},
    {"cli", "testing", "__main__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
NETWORK = {"requests", "socket", "http", "httpx", "urllib3", "aiohttp", "ftplib", "smtplib"}
NETWORK |= {"urllib.request", "ssl", "socketserver", "xmlrpc", "huggingface_hub", "torch.hub"}
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
HARMLESS = {"pickle.UnpicklingError", "cloudpickle.register_pickle_by_value"}  # they read nothing
SEEDS = {"torch.manual_seed", "torch.random.manual_seed", "torch.seed", "torch.cuda.manual_seed"}
SEEDS |= {"torch.cuda.manual_seed_all", "torch.set_rng_state", "random.seed", "np.random.seed"}
SEEDS |= {"numpy.random.seed"}


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def nodes(kind: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of a kind, in every file."""
    return (
        (file, node) for file in FILES for node in ast.walk(tree(file)) if isinstance(node, kind)
    )


def place(file: Path, node: ast.AST) -> str:
    return f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', '?')}"


def imports(node: ast.AST) -> list[str]:
    """What an import statement asks for, dotted; `import_module` with a literal counts too."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=0):
            return [f"{module}.{alias.name}" for alias in names]
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
            return [name] if ast.unparse(function).endswith("import_module") else []
    return []


def all_imports() -> Iterator[tuple[Path, ast.AST, str]]:
    for file in FILES:
        for node in ast.walk(tree(file)):
            for name in imports(node):
                yield file, node, name


def top(file: Path) -> str:
    """The name that a file's layer goes by: of its folder, or its own."""
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def within(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def test_every_module_has_a_layer():
    homeless = {top(file) for file in FILES} - LEVEL.keys() - {"__init__"}
    assert not homeless, f"say in LAYERS where these stand: {sorted(homeless)}"


def test_imports_go_down():
    """Those for type checkers alone count as well. The list of public names is above all."""
    wrong = [
        f"{place(file, node)}: {top(file)} imports {name}"
        for file, node, name in all_imports()
        if name.startswith("offmap.") and file != ROOT / "__init__.py"
        if LEVEL.get(name.split(".")[1], -1) > LEVEL[top(file)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_the_package_itself():
    """`import offmap` or `from offmap import audit` would hide on what a module rests."""
    wrong = [
        f"{place(file, node)}: {name}"
        for file, node, name in all_imports()
        if name == "offmap" or (name.startswith("offmap.") and name.split(".")[1] not in LEVEL)
    ]
    relative = [
        place(file, node)
        for file, node in nodes(ast.ImportFrom)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong + relative


def test_the_guard_knows_nothing_of_audits():
    wrong = [
        f"{place(file, node)}: {name}"
        for file, node, name in all_imports()
        if top(file) == "guard"
        if within(name, {f"offmap.{room}" for room in ("measures", "remedies", "plan", "engine")})
    ]
    assert not wrong


def test_numerics_know_nothing_of_audits():
    wrong = [
        f"{place(file, node)}: {name}"
        for file, node, name in all_imports()
        if top(file) == "numerics" and name.startswith("offmap.")
        if not name.startswith("offmap.numerics")
    ]
    assert not wrong


def test_imports_have_no_cycle():
    """Module by module, imports inside functions and for type checkers apart."""
    names = {".".join(("offmap", *file.relative_to(ROOT).with_suffix("").parts)) for file in FILES}
    uses: dict[str, set[str]] = {}
    for file in FILES:
        own = ".".join(("offmap", *file.relative_to(ROOT).with_suffix("").parts))
        asked = {name for node in tree(file).body for name in imports(node)}
        uses[own] = {
            module
            for name in asked
            for module in (name, name.rpartition(".")[0])
            if module in names and module != own
        }
    while True:
        done = {name for name, needed in uses.items() if not needed & uses.keys()}
        if not done:
            break
        uses = {name: needed for name, needed in uses.items() if name not in done}
    assert not uses, f"these import one another: {sorted(uses)}"


def test_one_place_catches_every_exception():
    broad = []
    for file, node in nodes(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        assert node.type is not None, f"{place(file, node)} catches even interrupts"
        caught = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)}
        assert "BaseException" not in caught, place(file, node)
        broad += [str(file.relative_to(ROOT))] if "Exception" in caught else []
    assert broad == ["attempt.py"]


def test_nothing_prints():
    wrong = [
        place(file, node)
        for file, node in nodes(ast.Call)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "pprint", "breakpoint")
    ]
    assert not wrong


def test_nothing_seeds_the_global_random_state():
    """Inside `torch.random.fork_rng`, which puts it back, torch may be seeded.

    The contract suite changes all of them on purpose, to see that no measure reads them.
    """
    forked = {
        id(inner)
        for _, node in nodes(ast.With)
        if isinstance(node, ast.With)
        if any("torch.random.fork_rng" in ast.unparse(item) for item in node.items)
        for inner in ast.walk(node)
    }
    wrong = []
    for file, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        name = ast.unparse(node.func)
        seeds = name in SEEDS or name.startswith("torch.default_generator.")
        put_back = name.startswith("torch.") and id(node) in forked
        if seeds and not put_back and top(file) != "testing":
            wrong.append(f"{place(file, node)}: {name}")
    assert not wrong


def test_nothing_reads_pickles_unasked():
    """Weights alone, with what the user allowed, in `models/weights.py`."""
    wrong = [
        f"{place(file, node)}: {name}"
        for file, node, name in all_imports()
        if within(name, PICKLES) and name not in PICKLES | HARMLESS
    ]
    for file, node in nodes(ast.Attribute):
        name = ast.unparse(node)
        if within(name, PICKLES) and name not in HARMLESS:
            wrong.append(f"{place(file, node)}: {name}")
    unsafe = []
    for file, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        said = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
        if said.get("allow_pickle") == "True":
            wrong.append(place(file, node))
        if ast.unparse(node.func) == "torch.load" and "weights_only" not in said:
            wrong.append(place(file, node))
        if said.get("weights_only") == "False":
            unsafe.append(str(file.relative_to(ROOT)))
    assert not wrong
    assert unsafe == ["models/weights.py"]


def test_nothing_talks_to_a_network():
    wrong = [
        f"{place(file, node)}: {name}"
        for file, node, name in all_imports()
        if within(name, NETWORK)
    ]
    assert not wrong


def test_no_file_is_long():
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in FILES
    }
    assert not {name: length for name, length in lengths.items() if length > 400}


def _modules_after(code: str) -> tuple[str, set[str]]:
    """What a fresh Python prints while it runs some code, and the modules it has loaded then."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit: pass\nprint(*sys.modules, sep=',')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    printed, _, modules = done.stdout.rstrip().rpartition("\n")
    return printed, set(modules.split(","))


def test_help_is_quick():
    printed, modules = _modules_after(
        "sys.argv = ['offmap', '--help']; from offmap.cli import main; main()"
    )
    assert "audit" in printed
    assert not modules & {"torch", "numpy", "scipy", "sklearn", "pyarrow", "altair"}


def test_the_package_imports_quickly():
    _, modules = _modules_after("import offmap")
    assert "offmap" in modules
    assert not modules & {"torch", "numpy", "typer"}
