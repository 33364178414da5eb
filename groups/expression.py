"""Representations from text: what `str(rho)` prints, `parse` reads."""

import ast
from collections.abc import Callable
from typing import Any

from relaxeq.errors import GroupError
from relaxeq.groups.abstract import Group
from relaxeq.groups.constructions import (
    change_of_basis,
    induced,
    permutation,
    quotient,
    representation,
)
from relaxeq.groups.finite import FiniteGroup, Subgroup
from relaxeq.groups.representation import Representation

_NAMES = ("regular", "trivial", "natural")
_EXAMPLE = "Write for example 'regular + 2*trivial', 'irrep(1) @ irrep(1)' or 'quotient([0, 2])'."


def parse(group: Group, text: str) -> Representation:
    """Read a representation: sums `+`, copies `n*`, tensor products `@`, over the atoms

    trivial, regular, natural, irrep(i), permutation(images), representation(images),
    quotient(indices), induced(indices, sigma), change_of_basis(rho, Q), dual(rho).
    """
    try:
        return _read(group, ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, AttributeError) as error:
        raise GroupError(f"text: {text!r} for {group}: {error}. {_EXAMPLE}") from error


def _read(group: Group, node: ast.expr) -> Representation:
    if isinstance(node, ast.BinOp):
        return _read_operator(group, node)
    if isinstance(node, ast.Name) and node.id in _NAMES:
        found: Representation = getattr(group, node.id)
        return found
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        builder = _CALLS.get(node.func.id)
        if builder is not None:
            return builder(group, node.args)
    raise ValueError(f"{ast.unparse(node)!r} is no representation")


def _read_operator(group: Group, node: ast.BinOp) -> Representation:
    if isinstance(node.op, ast.Add):
        return _read(group, node.left) + _read(group, node.right)
    if isinstance(node.op, ast.MatMult):
        return _read(group, node.left) @ _read(group, node.right)
    if isinstance(node.op, ast.Mult):
        copies = ast.literal_eval(node.left)
        if isinstance(copies, int):
            return copies * _read(group, node.right)
    raise ValueError(f"{ast.unparse(node)!r} is neither a sum, nor n*rho, nor a tensor product @")


def _subgroup(group: Group, node: ast.expr) -> Subgroup:
    if not isinstance(group, FiniteGroup):
        raise ValueError(f"{group} is no finite group")
    members = ast.literal_eval(node)
    inside = group.subgroup(members)
    if sorted(members) != list(inside.embedding):
        raise ValueError(f"elements {members} are no subgroup: they generate {inside.embedding}")
    return inside


def _values(arguments: list[ast.expr]) -> list[Any]:
    return [ast.literal_eval(a) for a in arguments]


def _irrep(group: Any, arguments: list[ast.expr]) -> Representation:
    found: Representation = group.irrep(*_values(arguments))
    return found


def _induced(group: Group, arguments: list[ast.expr]) -> Representation:
    members, sigma = arguments
    inside = _subgroup(group, members)
    return induced(_read(inside.group, sigma), inside)


def _change_of_basis(group: Group, arguments: list[ast.expr]) -> Representation:
    rho, basis = arguments
    return change_of_basis(_read(group, rho), ast.literal_eval(basis))


def _quotient(group: Any, arguments: list[ast.expr]) -> Representation:
    (members,) = arguments
    return quotient(group, _subgroup(group, members))


def _dual(group: Group, arguments: list[ast.expr]) -> Representation:
    (rho,) = arguments
    return _read(group, rho).dual


def _permutation(group: Any, arguments: list[ast.expr]) -> Representation:
    return permutation(group, *_values(arguments))


def _representation(group: Group, arguments: list[ast.expr]) -> Representation:
    return representation(group, *_values(arguments))


_CALLS: dict[str, Callable[[Any, list[ast.expr]], Representation]] = {
    "change_of_basis": _change_of_basis,
    "dual": _dual,
    "induced": _induced,
    "irrep": _irrep,
    "permutation": _permutation,
    "quotient": _quotient,
    "representation": _representation,
}
