"""Shapes of public signatures, in one vocabulary of axes.

batch (data points n), block (independent weight blocks b), shared (positions s with one weight),
out and in (rows and columns of a weight), channel, orientation k, row and col of the grid.
"""

from jaxtyping import Float, Int
from torch import Tensor

Features = Float[Tensor, "batch *feature"]
Image = Float[Tensor, "batch channel row col"]
HalvedImage = Float[Tensor, "batch channel row//2 col//2"]
Expanded = Float[Tensor, "batch block shared feature"]
Gram = Float[Tensor, "block feature feature"]
InputGram = Float[Tensor, "block in in"]
OutputGram = Float[Tensor, "block out out"]
Weight = Float[Tensor, "block out in"]
Matrix = Float[Tensor, "rows cols"]
Vector = Float[Tensor, " size"]
Logits = Float[Tensor, "batch out"]
Columns = Float[Tensor, "batch out column"]
Labels = Int[Tensor, " batch"]

__all__ = [
    "Columns",
    "Expanded",
    "Features",
    "Gram",
    "HalvedImage",
    "Image",
    "InputGram",
    "Labels",
    "Logits",
    "Matrix",
    "OutputGram",
    "Vector",
    "Weight",
]
