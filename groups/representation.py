"""Representations as values: they add, multiply, tensor, compare and print."""

import ast
import operator
from functools import cached_property
from typing import Any, final

import numpy as np
from scipy.linalg import block_diag, expm

from relaxeq.errors import GroupError
from relaxeq.groups.abstract import Floats, Group, check_kind

TOLERANCE = 1e-9
_LONG = 60  # characters: more are cut out of the repr, and stand in `text`


@final
class Representation:
    """A homomorphism ρ from a group to invertible d×d matrices; `rho(g)` is ρ(g), float64.

    It is held by the images of the group's generators, which determine it: `images` of shape
    (generators, d, d), and for Lie groups `derivatives` dρ(A_i) of shape (algebra, d, d). Two
    representations are equal when group and images agree to 1e-9. `terms` are its direct summands
    as written, and `text` is a form that `groups.parse(group, text)` reads back.
    """

    def __init__(
        self,
        group: Group,
        images: Floats,
        derivatives: Floats,
        text: str,
        terms: "tuple[Representation, ...]" = (),
    ) -> None:
        self.group = group
        self.images = _frozen(images)
        self.derivatives = _frozen(derivatives)
        self.text = text
        self.terms = terms or (self,)

    @property
    def dim(self) -> int:
        """d, the number of rows of ρ(g)."""
        return int(self.images.shape[-1])

    def __call__(self, g: Any) -> Floats:
        """ρ(g) of shape (d, d)."""
        matrix = np.eye(self.dim)
        for factor in self.group.factors(g):
            if isinstance(factor, tuple):
                step = expm(np.tensordot(np.asarray(factor), self.derivatives, 1))
            else:
                step = self.images[factor] if factor >= 0 else np.linalg.inv(self.images[~factor])
            matrix = matrix @ step
        return matrix

    def __add__(self, other: "Representation") -> "Representation":
        """The direct sum: block-diagonal, self first."""
        if not isinstance(other, Representation):
            return NotImplemented
        self._check_same_group(other, "+")
        return _direct_sum((*self.terms, *other.terms), f"{self.text} + {other.text}")

    def __rmul__(self, n: int) -> "Representation":
        """n * ρ, the direct sum of n copies."""
        try:
            count = operator.index(n)
        except TypeError:
            return NotImplemented
        if count < 1:
            raise GroupError(
                f"n * rho: n = {n} copies. Write a whole number from 1: 2 * {self.text}."
            )
        return _direct_sum(self.terms * count, f"{count}*{_bracketed(self.text)}")

    def __matmul__(self, other: "Representation") -> "Representation":
        """The tensor product (ρ ⊗ σ)(g) = kron(ρ(g), σ(g))."""
        if not isinstance(other, Representation):
            return NotImplemented
        self._check_same_group(other, "@")
        left, right = np.eye(self.dim), np.eye(other.dim)
        derivatives = _kron(self.derivatives, right[None]) + _kron(left[None], other.derivatives)
        text = f"{_bracketed(self.text)} @ {_bracketed(other.text)}"
        return Representation(self.group, _kron(self.images, other.images), derivatives, text)

    @property
    def dual(self) -> "Representation":
        """g ↦ ρ(g⁻¹)ᵀ, which is ρ itself where ρ is orthogonal."""
        inverse = np.linalg.inv(self.images).transpose(0, 2, 1)
        derivatives = -self.derivatives.transpose(0, 2, 1)
        return Representation(self.group, inverse, derivatives, f"dual({self.text})")

    @cached_property
    def is_orthogonal(self) -> bool:
        """Whether ρ(g)ᵀ ρ(g) = I for every g."""
        squares = self.images.transpose(0, 2, 1) @ self.images
        skew = self.derivatives + self.derivatives.transpose(0, 2, 1)
        return bool(
            np.allclose(squares, np.eye(self.dim), atol=TOLERANCE)
            and np.allclose(skew, 0, atol=TOLERANCE)
        )

    @cached_property
    def is_permutation(self) -> bool:
        """Whether every ρ(g) permutes the coordinates."""
        zero_one = np.isin(self.images, (0.0, 1.0)).all()
        sums = self.images.sum(1), self.images.sum(2)
        return bool(zero_one and not self.derivatives.any() and all((s == 1).all() for s in sums))

    def _check_same_group(self, other: "Representation", sign: str) -> None:
        if self.group != other.group:
            raise GroupError(
                f"rho {sign} sigma: {self.text} is of {self.group} and {other.text} of "
                f"{other.group}. Restrict the larger first: groups.restricted(rho, subgroup)."
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Representation):
            return NotImplemented
        return (
            self.dim == other.dim
            and self.group == other.group
            and np.allclose(self.images, other.images, rtol=0, atol=TOLERANCE)
            and np.allclose(self.derivatives, other.derivatives, rtol=0, atol=TOLERANCE)
        )

    def __hash__(self) -> int:
        # Nothing finer: entries that differ in the last bit must not part equal values.
        return hash((self.group, self.dim))

    def __reduce__(self) -> tuple[Any, ...]:
        terms = () if self.terms == (self,) else self.terms
        data = (np.array(self.images), np.array(self.derivatives))
        return (Representation, (self.group, *data, self.text, terms))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text
        if len(text) > _LONG:
            text = f"{text[: _LONG - 10]}…{text[-9:]}"
        return f"<{self.group}: {text}, dim {self.dim}>"


def check_representations(**given: object) -> None:
    """Raise GroupError, naming the argument, unless all are representations."""
    for argument, rho in given.items():
        check_kind(argument, rho, Representation, "Write for example group.regular.")


def explicit(group: Group, images: Floats, derivatives: Floats) -> Representation:
    """A representation whose text form is the images themselves."""
    rho = Representation(group, images, derivatives, "")
    if rho.is_permutation and group.generator_count:
        listed = np.argmax(rho.images, axis=1).tolist()
        return Representation(group, images, derivatives, f"permutation({listed})")
    parts = [repr(rho.images.tolist())]
    if group.algebra_count:
        parts.append(repr(rho.derivatives.tolist()))
    if not (group.generator_count or group.algebra_count):
        # The trivial group has no generator to show the dimension.
        return rho.dim * one(group)
    return Representation(group, images, derivatives, f"representation({', '.join(parts)})")


def one(group: Group) -> Representation:
    """The trivial representation, ρ(g) = 1."""
    images = np.ones((group.generator_count, 1, 1))
    return Representation(group, images, np.zeros((group.algebra_count, 1, 1)), "trivial")


def _direct_sum(terms: tuple[Representation, ...], text: str) -> Representation:
    images = _stacked([t.images for t in terms])
    derivatives = _stacked([t.derivatives for t in terms])
    return Representation(terms[0].group, images, derivatives, text, terms)


def _stacked(blocks: list[Floats]) -> Floats:
    """Block-diagonal matrices, one for each leading index."""
    count, dim = len(blocks[0]), sum(b.shape[1] for b in blocks)
    return np.reshape(
        [block_diag(*(b[i] for b in blocks)) for i in range(count)], (count, dim, dim)
    )


def _kron(left: Floats, right: Floats) -> Floats:
    """Kronecker products, one for each leading index; a leading 1 is repeated."""
    product = left[:, :, None, :, None] * right[:, None, :, None, :]
    rows = left.shape[1] * right.shape[1]
    return product.reshape(len(product), rows, rows)


def _bracketed(text: str) -> str:
    return f"({text})" if isinstance(ast.parse(text, mode="eval").body, ast.BinOp) else text


def _frozen(array: Any) -> Floats:
    """A read-only copy, without the rounding errors of entries that are whole numbers."""
    given = np.asarray(array, dtype=np.float64)
    whole = np.rint(given) + 0.0
    copy: Floats = np.where(np.abs(given - whole) < 1e-12, whole, given)
    copy.setflags(write=False)
    return copy
