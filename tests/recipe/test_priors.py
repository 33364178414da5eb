"""Which parameters share a prior, and what the evidence is told of them."""

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from relaxeq import Field, RelaxedLayer, deterministic, groups, kfac, register_sites
from relaxeq.errors import SiteError
from relaxeq.models import PaperNet
from relaxeq.paths import GaussianModule
from relaxeq.recipe import Options, fit
from relaxeq.recipe.priors import PriorGroup, prior_groups, terms_of, write_precisions
from relaxeq.sites import Site
from relaxeq.sites.torch_layers import bias_site

Pair = tuple[Tensor, Tensor]


def layer(spec: str, group: groups.PlanarGroup | None = None) -> RelaxedLayer:
    field = Field(group or groups.Z2(), 2, (4, 4))
    return RelaxedLayer(field, field, spec)


def of(module: nn.Module, name: str) -> GaussianModule:
    found = module.get_submodule(name)
    assert isinstance(found, GaussianModule)
    return found


def test_a_path_is_one_prior_and_a_plain_parameter_is_one() -> None:
    net = nn.Sequential(layer("F-FC+CONV"), nn.Flatten(), nn.Linear(32, 3))
    of(net, "0.paths.F-FC").prior_variance = 4.0
    of(net, "0.bias").prior_variance = 0.0
    factored = ("0.paths.F-FC.theta1", "0.paths.F-FC.theta2")
    found = {group.name: group for group in prior_groups(net)}
    assert list(found) == ["0.paths.F-FC", "0.paths.CONV", "0.bias", "2.weight", "2.bias"]
    assert found["0.paths.F-FC"] == PriorGroup("0.paths.F-FC", factored, 0.25)
    assert found["0.bias"] == PriorGroup("0.bias", ("0.bias.value",), math.inf)
    assert found["2.weight"] == PriorGroup("2.weight", ("2.weight",), 1.0)


@pytest.mark.parametrize("spec", ["FC", "F-FC", "CONV", "GCONV", "F-FC+CONV+GCONV", "FC+GCONV"])
def test_every_trained_parameter_has_one_prior(spec: str) -> None:
    net = layer(spec, groups.semidirect(groups.Z2(), groups.p4()))
    found = prior_groups(net)
    held = [name for group in found for name in group.parameters]
    assert sorted(held) == sorted(name for name, _ in net.named_parameters())
    assert [group.name for group in found] == [f"paths.{n}" for n in spec.split("+")] + ["bias"]


def test_a_lone_path_is_called_by_its_label() -> None:
    path = of(layer("CONV"), "paths.CONV")
    path.prior_variance = 0.5
    (group,) = prior_groups(path)
    assert (group.name, group.precision) == ("CONV", 2.0)
    write_precisions(path, {"CONV": 10.0})
    assert path.prior_variance == 0.1


def test_frozen_and_deterministic_parameters_have_no_prior() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].requires_grad_(False)
    deterministic(net[1], "weight")
    assert [group.name for group in prior_groups(net)] == ["1.bias", "2.weight", "2.bias"]


def test_a_path_that_is_frozen_in_part_keeps_its_prior_for_the_rest() -> None:
    net = layer("F-FC")
    net.get_parameter("paths.F-FC.theta1").requires_grad_(False)
    (path, _) = prior_groups(net)
    assert path.parameters == ("paths.F-FC.theta2",)


class Scale(nn.Module):
    """A layer that nobody has given a site."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def test_a_parameter_without_a_site_is_an_error_that_names_it(points: Pair) -> None:
    net = nn.Sequential(nn.Linear(2, 2), Scale())
    message = r"parameter '1\.factor' of a Scale has no curvature site\. Write .*deterministic"
    with pytest.raises(SiteError, match=message):
        fit(net, [points], epochs=1)
    with pytest.raises(SiteError, match=r"parameter '1\.weight' of a BatchNorm1d has no"):
        fit(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), [points], epochs=1, objective="map")


def test_a_deterministic_parameter_trains_without_a_prior(
    points: Pair, options: Callable[..., Options]
) -> None:
    net = nn.Sequential(nn.Linear(2, 2), Scale())
    deterministic(net[1])
    result = fit(net, [points], epochs=4, options=options())
    assert [prior.name for prior in result.priors] == ["0.weight", "0.bias"]
    assert not torch.equal(net[1].get_parameter("factor").detach(), torch.ones(2))


def test_a_registered_layer_of_ones_own_learns_its_prior(
    points: Pair, options: Callable[..., Options]
) -> None:
    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.by

    @register_sites(Shift)
    def sites(module: Shift) -> dict[str, Site]:
        return {"by": bias_site(2, "n c -> n 1 1 c")}

    result = fit(nn.Sequential(nn.Linear(2, 2), Shift()), [points], epochs=4, options=options())
    assert result.prior("1.by").precision != 1.0


def test_terms_hold_eigenvalues_and_norms(images: Pair) -> None:
    net = PaperNet("F-FC+CONV", in_channels=1, classes=3, alpha=1, size=(8, 8)).double()
    of(net, "layers.0.paths.CONV").prior_variance = 0.0
    data = [(torch.randn(4, 1, 8, 8).double(), torch.arange(4) % 3)]
    found, blocks = prior_groups(net), kfac(net, data)
    terms = terms_of(net, found, blocks)
    values = dict(net.named_parameters())
    assert list(terms) == [group.name for group in found]
    for group in found:
        term = terms[group.name]
        held: Mapping[str, Tensor] = {name: values[name].detach() for name in group.parameters}
        assert term.size == sum(value.numel() for value in held.values())
        spectrum = torch.cat([torch.linalg.eigvalsh(blocks[name].dense()) for name in held])
        torch.testing.assert_close(
            term.eigenvalues.sort().values, spectrum.clamp_min(0).sort().values
        )
        norm = sum(float((value**2).sum()) for value in held.values())
        expected = 0.0 if math.isinf(group.precision) else norm
        assert term.squared_norm == pytest.approx(expected)


def test_written_precisions_reach_paths_and_biases_alone() -> None:
    net = nn.Sequential(layer("F-FC+CONV"), nn.Flatten(), nn.Linear(32, 3))
    of(net, "0.paths.CONV").prior_variance = 0.0
    precisions = {group.name: group.precision for group in prior_groups(net)}
    write_precisions(net, precisions | {"0.paths.F-FC": 8.0, "0.bias": 0.5, "2.weight": 3.0})
    assert of(net, "0.paths.F-FC").prior_variance == 0.125
    assert of(net, "0.bias").prior_variance == 2.0
    assert of(net, "0.paths.CONV").prior_variance == 0.0
