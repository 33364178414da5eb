"""The flavours of curvature against the exact matrix: what each keeps of it, and its sign."""

import pytest
import torch
from torch import nn

from relaxeq import Field, RelaxedLayer, deterministic, exact_ggn, groups, kfac
from relaxeq.curvature import FLAVOURS, Bound, estimate
from relaxeq.curvature.collect import Pass
from relaxeq.errors import DataError, NumericsError, SpecError
from relaxeq.likelihoods import Gaussian
from relaxeq.sites import network_sites

pytestmark = pytest.mark.usefixtures("float64")
Z2, P4 = groups.planar("Z2"), groups.planar("p4")


def relaxed(group, spec, stride):
    coarse = (4 // stride,) * 2
    layer = RelaxedLayer(Field(group, 1, (4, 4)), Field(group, 2, coarse), spec, stride=stride)
    nn.init.normal_(layer.bias.value)
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(layer.target.dim, 3))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.first(torch.tanh(self.first(x)))))


NETWORKS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)), (3,)),
    "positions": (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)),
        (4, 3),
    ),
    "groups": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 4, 2, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)
        ),
        (4, 3, 3),
    ),
    "F-FC+CONV": (lambda: relaxed(Z2, "F-FC+CONV", 2), (1, 4, 4)),
    "F-FC+CONV+GCONV": (lambda: relaxed(P4, "F-FC+CONV+GCONV", 4 // 2), (4, 4, 4)),
    "a module twice": (Twice, (3,)),
}
LIKELIHOODS = {"classification": "classification", "noise 0.5": Gaussian(0.5)}


def task(name, likelihood):
    build, shape = NETWORKS[name]
    net, x = build(), torch.randn(5, *shape)
    y = torch.arange(5) % 3 if likelihood == "classification" else torch.randn(5, 3)
    return net, [(x[:3], y[:3]), (x[3:], y[3:])]


def blocks_of(net, loader, flavour, likelihood):
    return estimate(net, loader, Pass(likelihood), flavour).blocks


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_exact_blocks_and_diagonals(name, likelihood):
    chosen = LIKELIHOODS[likelihood]
    net, loader = task(name, chosen)
    truth = exact_ggn(net, loader, chosen)
    dense = blocks_of(net, loader, "exact", chosen)
    diagonal = blocks_of(net, loader, "diagonal", chosen)
    assert dense.keys() == diagonal.keys() == truth.keys()
    for own, matrix in truth.items():
        torch.testing.assert_close(dense[own].dense(), matrix)
        torch.testing.assert_close(diagonal[own].dense(), matrix.diag().diag())
        spectrum = torch.linalg.eigvalsh(matrix).clamp_min(0)
        torch.testing.assert_close(dense[own].eigenvalues().sort().values, spectrum)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_corrected_blocks(name, likelihood):
    """diag(QᵀHQ) in KFAC's eigenbasis Q; exact trace; log det from above (Hadamard, Fischer)."""
    chosen = LIKELIHOODS[likelihood]
    net, loader = task(name, chosen)
    truth = exact_ggn(net, loader, chosen)
    corrected = blocks_of(net, loader, "corrected", chosen)
    plain = kfac(net, loader, chosen)
    assert corrected.keys() == truth.keys()
    for own, matrix in truth.items():
        vectors = basis(net, own, plain[own])
        values = (vectors.T @ matrix @ vectors).diag()
        torch.testing.assert_close(corrected[own].dense(), vectors @ values.diag() @ vectors.T)
        torch.testing.assert_close(corrected[own].eigenvalues().sort().values, values.sort().values)
        torch.testing.assert_close(corrected[own].trace(), matrix.trace())
        for delta in (1e-2, 1.0):
            exact = torch.linalg.slogdet(matrix + delta * torch.eye(len(matrix))).logabsdet
            assert corrected[own].logdet(delta) >= exact - 1e-9


def basis(net, own, block):
    """Eigenvectors of A ⊗ G, block by block, as columns in the order of parameter.flatten()."""
    site = network_sites(net)[own][2]
    order = site.flat_from_blocks(torch.arange(block.size).view(site.shape))
    each = [
        torch.kron(torch.linalg.eigh(g)[1], torch.linalg.eigh(a)[1])
        for a, g in zip(block.inputs, block.outputs, strict=True)
    ]
    return torch.block_diag(*each)[order]


def test_averaged_blocks_share_their_output_factor():
    """App. C.1: one G for all blocks of a factored layer; other parameters stay as they are."""
    net, loader = task("F-FC+CONV", "classification")
    plain = kfac(net, loader)
    averaged = blocks_of(net, loader, "averaged", "classification")
    for own, block in averaged.items():
        mean = sum(plain[own].outputs) / len(plain[own].outputs)
        for b, gram in enumerate(block.outputs):
            torch.testing.assert_close(gram, mean)
            torch.testing.assert_close(block.inputs[b], plain[own].inputs[b])
        torch.testing.assert_close(block.trace(), block.dense().trace())
    assert not torch.equal(
        averaged["0.paths.F-FC.theta1"].dense(), plain["0.paths.F-FC.theta1"].dense()
    )


def test_totals():
    net, loader = task("mlp", "classification")
    found = estimate(net, loader, Pass(), "corrected")
    truth = sum(float(net(x).log_softmax(1)[range(len(y)), y].sum().detach()) for x, y in loader)
    assert found.count == 5
    assert found.log_likelihood == pytest.approx(truth)


class Partly(nn.Module):
    """A frozen, a deterministic and an unused part."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(3, 3), deterministic(nn.LayerNorm(3))
        self.head, self.off = nn.Linear(3, 3), nn.Linear(2, 2)
        self.first.bias.requires_grad_(False)

    def forward(self, x):
        return self.head(self.norm(self.first(x)))


@pytest.mark.parametrize("flavour", ["kfac", "averaged", "corrected", "diagonal", "exact"])
def test_every_flavour_takes_and_refuses_the_same(flavour):
    net = Partly()
    x, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    found = blocks_of(net, [(x, y)], flavour, "classification")
    assert found.keys() == {"first.weight", "head.weight", "head.bias", "off.weight", "off.bias"}
    assert not found["off.weight"].dense().any()
    assert found["first.weight"].trace() > 0
    assert "shape=(1, 3, 3)" in repr(found["head.weight"])
    assert "tensor(" not in repr(found)
    with pytest.raises(DataError, match="loader gave no data"):
        blocks_of(net, [], flavour, "classification")


@pytest.mark.parametrize("flavour", ["kfac", "averaged", "corrected", "diagonal", "exact"])
def test_overflow_names_the_parameter(flavour):
    net = nn.Linear(3, 2).float()
    nn.init.zeros_(net.weight)
    x = torch.full((4, 3), 1e30, dtype=torch.float32)
    with pytest.raises(NumericsError, match="'weight' .* not finite"):
        blocks_of(net, [(x, torch.tensor([0, 1, 1, 0]))], flavour, "classification")


@pytest.mark.parametrize(
    ("settings", "flavour", "message"),
    [
        (Pass, "kfca", "curvature='kfca' is not one of kfac, averaged"),
        (Pass, Bound, r"curvature=Bound is a class, not a value: write Bound\("),
        (Pass, None, "curvature=None is not one of"),
        (lambda: "classification", "kfac", r"settings='classification' must be .*: write Pass\("),
        (
            lambda: Pass(["classification"]),
            "kfac",
            r"likelihood=\['classification'\] is not one of",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_flavour_or_no_pass_is_refused(settings, flavour, message):
    net, loader = task("mlp", "classification")
    with pytest.raises(SpecError, match=message):
        estimate(net, loader, settings(), flavour)


def test_two_passes_need_a_loader_that_can_be_read_twice():
    net, loader = task("mlp", "classification")
    with pytest.raises(DataError, match="read twice, but gave 0 data the second time, 5 before"):
        blocks_of(net, iter(loader), "corrected", "classification")
    torch.testing.assert_close(
        blocks_of(net, iter(loader), "kfac", "classification")["0.weight"].dense(),
        blocks_of(net, loader, "kfac", "classification")["0.weight"].dense(),
    )


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_factors_of_blocks_and_prior_precisions_are_positive(flavour):
    net, loader = task("mlp", "classification")
    block = blocks_of(net, loader, flavour, "classification")["0.weight"]
    vectors = torch.ones(1, *block.site.shape)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(SpecError, match=f"factor={bad} of a block must be positive"):
            block.scaled(bad)
        for method in (block.logdet, lambda delta: block.inverse_root(vectors, delta)):
            with pytest.raises(SpecError, match=f"delta={bad} must be positive: it is a prior"):
                method(bad)
    with pytest.raises(SpecError, match="factor=inf"):
        block.scaled(float("inf"))


def test_large_parameters_have_no_exact_block():
    net = nn.Linear(200, 101)
    with pytest.raises(SpecError, match="'weight' has 20200 entries.*Use 'corrected' or 'kfac'"):
        estimate(net, [(torch.randn(1, 200), torch.tensor([0]))], Pass(), "exact")
