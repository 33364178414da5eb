"""Fits whose updates see a part of the data, and options whose text two processes share."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from relaxeq.curvature import Bound, Subset, exact_ggn
from relaxeq.errors import CheckpointError, SpecError
from relaxeq.likelihoods import Categorical, Likelihood
from relaxeq.recipe import FitResult, Options, fit
from relaxeq.shapes import Columns, Logits

Pair = tuple[Tensor, Tensor]
Make = Callable[..., Options]


def run(mixed: Callable[[], nn.Module], images: Pair, settings: Options, **more: Path) -> FitResult:
    return fit(mixed(), [images], epochs=6, options=settings, run_dir=more.get("folder"))


@pytest.mark.parametrize("flavour", [Subset(12), Subset(12, "corrected"), Bound(3, 3)], ids=str)
def test_updates_from_a_part_of_the_data_learn_and_repeat(
    flavour: Subset | Bound, mixed: Callable[[], nn.Module], images: Pair, options: Make,
    tmp_path: Path,
) -> None:  # fmt: skip
    settings = options(curvature=flavour, final_curvature="kfac")
    found = run(mixed, images, settings, folder=tmp_path)
    assert any(prior.precision != 1.0 for prior in found.priors)
    again = run(mixed, images, settings)
    assert again.evidence == found.evidence
    resumed = run(mixed, images, settings, folder=tmp_path)
    assert resumed.evidence == found.evidence
    assert resumed.priors == found.priors
    with pytest.raises(CheckpointError, match=r"curvature=[\"'](Subset|Bound).*curvature='kfac'"):
        run(mixed, images, options(final_curvature="kfac"), folder=tmp_path)


def test_the_final_curvature_is_the_one_asked_for(
    mixed: Callable[[], nn.Module], images: Pair, options: Make
) -> None:
    """A bound of all data in one batch per datum lies below the exact evidence, by hand."""
    settings = options(curvature="kfac", final_curvature=Bound(1, 30))
    found = fit(mixed().double(), [(images[0].double(), images[1])], None, 4, "map", settings)
    exact = found.log_likelihood * found.count
    owners = {prior.name: prior for prior in found.priors}
    for prior in owners.values():
        exact -= 0.5 * prior.precision * prior.squared_norm
    for name, matrix in exact_ggn(found.net, [(images[0].double(), images[1])]).items():
        (alpha,) = [p.precision for p in owners.values() if name.startswith(p.name)]
        size = len(matrix)
        exact -= 0.5 * float(torch.logdet(matrix / alpha + torch.eye(size, dtype=matrix.dtype)))
    assert found.evidence < exact / found.count
    assert found.evidence > exact / found.count - 3.0
    assert all(0 <= p.effective_parameters <= p.size for p in found.priors)


class Nameless(Likelihood):
    """A likelihood of a user who wrote no __repr__."""

    def log_likelihood(self, outputs: Logits, targets: Tensor) -> Tensor:
        return Categorical().log_likelihood(outputs, targets)

    def hessian_root(self, outputs: Logits) -> Columns:
        return Categorical().hessian_root(outputs)

    def sampled_root(self, outputs: Logits, generator: torch.Generator | None) -> Columns:
        return Categorical().sampled_root(outputs, generator)

    def check(self, outputs: Logits, targets: Tensor) -> None:
        Categorical().check(outputs, targets)


class Named(Nameless):
    def __repr__(self) -> str:
        return "Named()"


def test_a_likelihood_without_a_text_cannot_have_a_run_folder(
    mixed: Callable[[], nn.Module], images: Pair, options: Make, tmp_path: Path
) -> None:
    settings = options(likelihood=Nameless())
    assert math.isfinite(run(mixed, images, settings).evidence)
    folder = tmp_path / "one"
    with pytest.raises(SpecError, match="likelihood=.*Nameless.*frozen dataclass, or give"):
        run(mixed, images, settings, folder=folder)
    assert not list(folder.glob("*"))
    first, second = (
        run(mixed, images, options(likelihood=Named()), folder=tmp_path / "two") for _ in range(2)
    )
    assert first.evidence == second.evidence


def test_unknown_curvature_is_refused(options: Make) -> None:
    for name in ("curvature", "final_curvature"):
        with pytest.raises(SpecError, match="curvature='kfca' is not one of kfac.*Subset"):
            options(**{name: "kfca"})
