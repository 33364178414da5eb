"""Rows against the figures that the paper prints, and γ against its definition."""

import inspect
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

import relaxeq
from relaxeq.data import TensorLoader
from relaxeq.errors import SpecError
from relaxeq.fields import Field
from relaxeq.groups import Z2
from relaxeq.layers import RelaxedLayer
from relaxeq.paths import FC
from relaxeq.recipe import FitResult, LearnedPrior, Options, fit
from relaxeq.report import summary

Build = Callable[..., FitResult]

# Table 4 of the paper: γ/P of FC and CONV, their shares, the layer's type.
TABLE_4 = [
    (0.00000002, 0.80731778, 0.00000003, 0.99999997, "CONV"),
    (0.00000007, 0.70107951, 0.00000010, 0.99999990, "CONV"),
    (0.00000014, 0.66181451, 0.00000021, 0.99999979, "CONV"),
    (0.00000089, 0.50004517, 0.00000178, 0.99999822, "CONV"),
    (0.00000772, 0.40905216, 0.00001888, 0.99998112, "CONV"),
    (0.00000379, 0.14326709, 0.00002643, 0.99997357, "CONV"),
    (0.00721232, 0.00000522, 0.99927627, 0.00072373, "FC"),
    (0.00000009, 0.00456014, 0.00001874, 0.99998126, "CONV"),
]


def test_shares_and_types_are_those_of_the_papers_table(build: Build) -> None:
    rows = summary(build([{"FC": fc, "CONV": conv} for fc, conv, *_ in TABLE_4])).rows
    assert [row.layer for row in rows] == [n for n in range(8) for _ in range(2)]
    for row, (number, printed) in zip(
        rows, ((n, line) for n, line in enumerate(TABLE_4) for _ in range(2)), strict=True
    ):
        place = ("FC", "CONV").index(row.path)
        assert row.name == f"layers.{number}"
        assert row.normalised == pytest.approx(printed[place], rel=1e-12)
        assert row.share == pytest.approx(printed[2 + place], abs=1.5e-6)  # of printed digits
        assert row.layer_type == printed[4]


def test_a_row_is_the_prior_of_its_path(build: Build) -> None:
    result = build([{"F-FC": 0.1, "CONV": 0.3}], precisions={"layers.0.paths.F-FC": 7.0})
    (first, second) = summary(result).rows
    texts = (first.layer, first.name, first.path, first.symmetry, first.layer_type)
    assert texts == (0, "layers.0", "F-FC", "none", "CONV")
    assert (first.precision, first.squared_norm, first.size) == (7.0, 2.0, 8)
    figures = (first.effective_parameters, first.normalised, first.share)
    assert figures == pytest.approx((0.8, 0.1, 0.25))
    assert (second.symmetry, second.size, second.precision) == ("Z2", 1, 1.0)


def test_a_layer_without_effective_parameters_has_no_type(build: Build) -> None:
    rows = summary(build([{"FC": 0.0, "CONV": 0.0}, {"FC": 0.2, "CONV": 0.0}])).rows
    assert [row.share for row in rows] == [0.0, 0.0, 1.0, 0.0]
    assert [row.layer_type for row in rows] == ["none", "none", "FC", "FC"]


def test_gamma_is_its_definition_with_the_dense_posterior() -> None:
    """γ = P − α Tr(H + αI)⁻¹ (App. D.2), with KFAC's H."""
    field = Field(Z2(), 2, (2, 2))
    net = nn.Sequential(RelaxedLayer(field, field, "F-FC+CONV"), nn.Flatten(), nn.Linear(8, 3))
    data = (torch.randn(20, 2, 2, 2), torch.randint(0, 3, (20,)))
    options = Options(burn_in=0, update_every=1)
    report = summary(fit(net, TensorLoader(data, 20), epochs=3, options=options))
    blocks = relaxeq.kfac(net.eval(), [data])
    owners = {row.path: [n for n in blocks if f"paths.{row.path}." in n] for row in report.rows}
    assert {path: len(names) for path, names in owners.items()} == {"F-FC": 2, "CONV": 1}
    for row in report.rows:
        gamma = 0.0
        for name in owners[row.path]:
            dense = blocks[name].dense().double()
            eye = torch.eye(len(dense), dtype=torch.float64)
            inverse = torch.linalg.inv(dense + row.precision * eye)
            gamma += float(len(dense) - row.precision * inverse.trace())
        assert row.effective_parameters == pytest.approx(gamma, rel=1e-4)
        assert row.normalised == pytest.approx(gamma / row.size, rel=1e-4)


def test_biases_and_plain_parameters_are_apart(build: Build) -> None:
    report = summary(build([{"FC": 0.5}]))
    names = [prior.name for prior in report.others]
    assert names == ["layers.0.bias", "head.weight", "head.bias"]
    assert report.size == sum(p.numel() for p in build([{"FC": 0.5}]).net.parameters())


class Stack(nn.Module):
    """A user's layer: what counts is `paths`, a ModuleDict of paths."""

    def __init__(self, paths: dict[str, nn.Module]) -> None:
        super().__init__()
        self.paths = nn.ModuleDict(paths)


def result_of(net: nn.Module, *names: str) -> FitResult:
    priors = tuple(LearnedPrior(name, 1.0, 1.0, 4.0, 16) for name in names)
    return FitResult(net, "laplace", 0.0, 0.0, 1, [], priors, {})


def test_any_module_with_a_dict_of_paths_counts() -> None:
    field = Field(Z2(), 1, (2, 2))
    net = nn.Sequential(Stack({"not": nn.Linear(4, 4)}), Stack({"mine": FC(field, field, "mine")}))
    names = ("1.paths.mine", "0.paths.not.weight", "0.paths.not.bias")
    report = summary(result_of(net, *names))
    (row,) = report.rows
    assert (row.layer, row.name, row.path, row.share) == (0, "1", "mine", 1.0)
    assert [prior.name for prior in report.others] == list(names[1:])


def test_a_prior_inside_a_path_counts_with_it() -> None:
    field = Field(Z2(), 1, (2, 2))
    net = nn.Sequential(Stack({"A": FC(field, field, "A"), "AB": FC(field, field, "AB")}))
    result = result_of(net, "0.paths.A.inner", "0.paths.A", "0.paths.AB", "0.paths.ABC")
    inner = replace(result.priors[0], effective_parameters=2.0, size=4, precision=9.0)
    report = summary(replace(result, priors=(inner, *result.priors[1:])))
    first, second = report.rows
    assert (first.path, first.precision, first.squared_norm) == ("A", 1.0, 1.0)
    assert (first.effective_parameters, first.size) == (6.0, 20)  # 4 of 16 and 2 of 4
    assert (first.share, second.share) == pytest.approx((0.3 / 0.55, 0.25 / 0.55))
    assert [prior.name for prior in report.others] == ["0.paths.ABC"]


def test_a_network_that_is_one_layer_has_its_class_name() -> None:
    field = Field(Z2(), 1, (2, 2))
    layer = RelaxedLayer(field, field, "FC", bias=False)
    (row,) = summary(result_of(layer, "paths.FC")).rows
    assert (row.name, row.path, row.normalised) == ("RelaxedLayer", "FC", 0.25)


def test_a_path_without_prior_is_left_out_and_told() -> None:
    field = Field(Z2(), 1, (2, 2))
    net = nn.Sequential(RelaxedLayer(field, field, "FC+CONV", bias=False))
    report = summary(result_of(net, "0.paths.FC"))
    assert [(row.path, row.share) for row in report.rows] == [("FC", 1.0)]
    assert "0.paths.CONV is frozen or deterministic" in report.warnings[0]


def test_only_results_of_fit_can_be_summed_up() -> None:
    with pytest.raises(SpecError, match=r"result=Linear\(.* is not what relaxeq.fit returned"):
        inspect.unwrap(summary)(nn.Linear(1, 1))  # as users call it: without our tests' hook
