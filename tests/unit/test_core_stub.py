"""The types of the compiled core (_core.pyi) say what the module has: names, arguments, order, defaults."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import nbedex
from nbedex import _core

PACKAGE = Path(nbedex.__file__).parent
STUB = ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8"))

# name -> (arguments before "*", arguments after, those with a default)
Signature = tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]


def from_stub(node: ast.FunctionDef) -> Signature:
    plain = [a.arg for a in node.args.posonlyargs + node.args.args if a.arg != "self"]
    keywords = [a.arg for a in node.args.kwonlyargs]
    with_default = plain[len(plain) - len(node.args.defaults) :] if node.args.defaults else []
    with_default += [a for a, d in zip(keywords, node.args.kw_defaults, strict=True) if d is not None]
    return tuple(plain), tuple(keywords), frozenset(with_default)


def from_module(function: Any) -> Signature:
    """As pybind11 writes it in the first line of the documentation: name(a: type, *, b: type = default) -> type."""
    line = function.__doc__.strip().splitlines()[0]
    inside = line[line.index("(") + 1 : line.rindex(")", 0, line.rfind("->") if "->" in line else len(line))]
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(inside + ","):
        depth += letter in "([{"
        depth -= letter in ")]}"
        if letter == "," and depth == 0:
            parts.append(inside[start:at].strip())
            start = at + 1
    plain: list[str] = []
    keywords: list[str] = []
    target, defaults = plain, set()
    for part in filter(None, parts):
        if part == "*":
            target = keywords
            continue
        name = re.match(r"\w+", part)
        assert name, part
        if name[0] != "self":
            target.append(name[0])
            if re.search(r" = [^=]*$", part):
                defaults.add(name[0])
    return tuple(plain), tuple(keywords), frozenset(defaults)


def members(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


IN_STUB = members(STUB.body)
TYPED_DICTS = {
    name
    for name, node in IN_STUB.items()
    if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "TypedDict" for base in node.bases)
}


def test_the_same_names() -> None:
    there = {name for name in dir(_core) if not name.startswith("_")}
    assert set(IN_STUB) - TYPED_DICTS == there


@pytest.mark.parametrize("name", [n for n, node in IN_STUB.items() if isinstance(node, ast.FunctionDef)])
def test_the_same_arguments(name: str) -> None:
    node = IN_STUB[name]
    assert isinstance(node, ast.FunctionDef)
    assert from_stub(node) == from_module(getattr(_core, name))


@pytest.mark.parametrize("name", sorted(n for n, d in IN_STUB.items() if isinstance(d, ast.ClassDef)))
def test_the_same_members(name: str) -> None:
    if name in TYPED_DICTS:
        assert not hasattr(_core, name)
        return
    node, kind = IN_STUB[name], getattr(_core, name)
    assert isinstance(node, ast.ClassDef)
    said = members(node.body)
    there = {n for n in vars(kind) if not n.startswith("_")}
    assert {n for n in said if not n.startswith("__")} == there
    for member, function in said.items():
        assert isinstance(function, ast.FunctionDef)
        is_property = any(ast.unparse(d) == "property" for d in function.decorator_list)
        assert is_property == isinstance(vars(kind).get(member), property), member
        if not is_property:
            assert from_stub(function) == from_module(getattr(kind, member)), member


def test_the_package_says_that_it_has_types() -> None:
    assert (PACKAGE / "py.typed").is_file() and (PACKAGE / "_core.pyi").is_file()


def test_the_comparison_sees_differences() -> None:
    class Function:
        __doc__ = "f(a: typing.Annotated[int, (1, 2)], *, b: dict[str, int] = {}, c: float) -> tuple[int, int]"

    assert from_module(Function) == (("a",), ("b", "c"), frozenset({"b"}))
    stub = ast.parse("def f(a: int, *, b: int = ..., c: float) -> None: ...").body[0]
    assert isinstance(stub, ast.FunctionDef) and from_stub(stub) == from_module(Function)
    other = ast.parse("def f(a: int, b: int = ..., *, c: float) -> None: ...").body[0]
    assert isinstance(other, ast.FunctionDef) and from_stub(other) != from_module(Function)
