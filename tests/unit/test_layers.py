"""The order of the layers, and what must not stand anywhere in the package."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "nbedex"

# From docs/architecture.md: a module may import from lines above its own, and from its own folder.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "progress"),
    ("calibration", "files", "settings"),
    ("_core",),
    ("provenance",),
    ("phases",),
    ("library", "scan"),
    ("maps",),
    ("indexing",),
    ("adapters", "calibrating", "grains"),
    ("boundaries",),
    ("blockade",),
    ("transport",),
    ("report",),
    ("microstructure", "workflow"),
    ("pooled", "reported"),
    ("demo", "installation"),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: number for number, names in enumerate(LAYERS) for name in names}
HOMES = {
    "matplotlib": {"report", "maps/crystal_map.py"},  # the exception: colours that orix gives as names
    "mpl_toolkits": {"report"},
    "bokeh": {"report"},
    "jinja2": {"report"},
    "contourpy": {"report"},
    "rsciio": {"scan", "demo"},  # the demo writes a real file
    "dask": {"adapters", "scan"},
    "distributed": set(),
    "libertem": {"adapters"},
    "zarr": {"scan"},
    "pybind11": set(),
    "diffsims": {"phases"},  # its tables of scattering factors
    "rich": {"cli"},
    "argparse": {"cli"},
    "hyperspy": set(),
    "pyxem": set(),
    "pickle": set(),
    "marshal": set(),
    "shelve": set(),
    "yaml": set(),
}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imported(path: Path) -> list[tuple[str, int]]:
    return list(imports_of(parsed(path)))


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Full names of modules imported anywhere in a file, also inside functions; not those for type checkers only."""
    hidden = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def test_imports_run_downward() -> None:
    wrong = []
    for path in sources():
        mine = layer_of(path)
        if mine == "__init__":
            continue
        assert mine in LEVEL, f"{path} belongs to no layer: give it one, in docs/architecture.md too"
        for name, line in imported(path):
            parts = name.split(".")
            if parts[0] != "nbedex" or len(parts) < 2 or parts[1] not in LEVEL or parts[1] == mine:
                continue
            if LEVEL[parts[1]] >= LEVEL[mine]:
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_the_table_in_the_docs_names_every_layer() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    named = {name.strip("/") for row in rows for name in re.findall(r"`([a-z_]+/?)`", row.split("|")[1])}
    assert named == set(LEVEL) - {"_core", "__main__"}
    order = [min(LEVEL[n.strip("/")] for n in re.findall(r"`([a-z_]+/?)`", row.split("|")[1])) for row in rows]
    assert order == sorted(order)


@pytest.mark.parametrize("library", sorted(HOMES))
def test_libraries_stay_in_their_homes(library: str) -> None:
    for path in sources():
        relative = path.relative_to(PACKAGE).as_posix()
        names = imported(path)
        used = [line for name, line in names if name.split(".")[0] == library]
        if used:
            assert {layer_of(path), relative} & HOMES[library], f"{relative}:{used[0]} uses {library}"


def test_nothing_is_printed_outside_the_command_line() -> None:
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.func.id
                assert name != "print" or layer_of(path) == "cli", f"{path}:{node.lineno} prints"
                assert name not in ("eval", "exec", "__import__", "compile"), f"{path}:{node.lineno} calls {name}"
            if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "shell"):
                assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{path}: {node.arg}"


def test_numpy_files_are_loaded_without_pickle() -> None:
    """np.load says so each time, rather than rely on the default."""
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                assert any(k.arg == "allow_pickle" for k in node.keywords), f"{path}:{node.lineno}"


def test_no_file_is_too_long() -> None:
    long = {path.name: n for path in sources() if (n := len(path.read_text(encoding="utf-8").splitlines())) > 420}
    assert not long


HEAVY = ("numpy", "scipy", "h5py", "gemmi", "orix", "diffsims", "matplotlib", "rsciio", "dask", "rich", "msgspec",
         "bokeh", "jinja2")  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        "import nbedex",
        "import nbedex; nbedex.__version__, dir(nbedex)",
        "from nbedex.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from nbedex.cli import main\ntry: main(['index', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_import_and_help_are_light(code: str) -> None:
    """Nothing heavy is imported before there is work for it."""
    show = "\nimport sys; print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code + show], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert not loaded & set(HEAVY)
