"""Imports: which way they point, what they may bring in, and that they are quiet."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import jaxtyping
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from relaxeq.data import TensorLoader

ROOT = Path(__file__).parents[1]
FILES = sorted(file for top in ("relaxeq", "groups") for file in (ROOT / top).rglob("*.py"))
INTEROP = ROOT / "relaxeq" / "interop"
BRIDGES = {INTEROP / name for name in ("asdl.py", "laplace.py", "laplace_factors.py")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWNERS = {"laplace": ["laplace-torch"], **metadata.packages_distributions()}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the first part of each imported name, which is what a distribution is found by."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield str(node.module).split(".")[0]


def third_party(tree: ast.AST) -> set[str]:
    """Return the distributions that `tree` imports from, outside Python and relaxeq."""
    names = set(imported(tree)) - sys.stdlib_module_names - {"relaxeq"}
    return {canonicalize_name(OWNERS[name][0]) for name in names}


def named(texts: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in texts}


DECLARED = named(PROJECT["dependencies"])
EXTRAS = {name for texts in PROJECT["optional-dependencies"].values() for name in named(texts)}


def test_imports_point_down() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_what_is_declared_and_only_extras_inside_functions(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {name for function in functions for name in imported(function)}
    assert third_party(tree) <= DECLARED | EXTRAS
    assert not inside & (sys.stdlib_module_names | {"relaxeq"}), "move it to the top of the module"
    late = {name for function in functions for name in third_party(function)}
    assert late <= EXTRAS, "move it to the top of the module"


def test_annotations_are_checked_while_tests_run() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="parameter .batch_size."):
        TensorLoader((torch.zeros(3),), batch_size="3")


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    names = {file: file.parent.name if file.stem == "__init__" else file.stem for file in FILES}
    named_alike = [file for file, name in names.items() if name in sys.stdlib_module_names]
    assert named_alike == []


def test_all_modules_import_quietly_and_without_extras() -> None:
    modules = sorted(
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in FILES
        if ROOT / "groups" not in file.parents and file not in BRIDGES
    )
    absent = [name for name, owner in OWNERS.items() if canonicalize_name(owner[0]) in EXTRAS]
    code = (
        "import importlib, sys\n"
        f"for extra in {absent}: sys.modules[extra] = None\n"
        f"for name in {modules}: importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
