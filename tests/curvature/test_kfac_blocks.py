"""KFAC block by block against the definition H_b = A_b ⊗ G_b/(N S), with loops written out here."""

import itertools

import pytest
import torch
from torch import nn

from relaxeq import Field, groups, kfac
from relaxeq.likelihoods import Gaussian
from relaxeq.paths import FC, Bias, FactoredFC, GroupConv

pytestmark = pytest.mark.usefixtures("float64")

Z2, P4, P4M, PMM = (groups.planar(name) for name in ("Z2", "p4", "p4m", "pmm"))


class Probed(nn.Module):
    """first → tanh → frozen head, so that curvature is asked of `first` alone."""

    def __init__(self, first, features, out):
        super().__init__()
        self.first = first
        self.head = nn.Linear(features, out).requires_grad_(False)
        for parameter in first.parameters():
            nn.init.normal_(parameter)

    def forward(self, x):
        return self.head(torch.tanh(self.first(x)).flatten(1))


def jacobian(net, x):
    """∂f_k/∂z for one datum, z the output of `first`, by a probe added to z: (out, *z)."""
    z = net.first(x[None]).detach().requires_grad_()
    f = net.head(torch.tanh(z).flatten(1))[0]
    rows = [torch.autograd.grad(f[k], z, retain_graph=True)[0][0] for k in range(len(f))]
    return torch.stack(rows)


def output_hessian(f, likelihood):
    if isinstance(likelihood, Gaussian):
        return torch.eye(len(f)) / likelihood.noise**2
    p = f.exp() / f.exp().sum()
    return torch.diag(p) - torch.outer(p, p)


def explicit(net, xs, likelihood, read):
    """{name: dense H} from `read(module, x, J) -> {name: [(entries, a (S, in), g (S, out, k))]}`.

    `entries[o, i]` says where θ_b[o, i] lies in parameter.flatten().
    """
    sums = {}
    for x in xs:
        hessian = output_hessian(net(x[None])[0].detach(), likelihood)
        for name, blocks in read(net.first, x, jacobian(net, x).detach()).items():
            for b, (entries, a, g) in enumerate(blocks):
                gram_a = sum(torch.outer(v, v) for v in a)
                gram_g = sum(v @ hessian @ v.T for v in g)
                old = sums.get((name, b))
                if old is not None:
                    gram_a, gram_g = gram_a + old[1], gram_g + old[2]
                sums[name, b] = (entries, gram_a, gram_g, len(xs) * len(a))
    dense = {}
    for (name, _), (entries, gram_a, gram_g, count) in sums.items():
        size = net.first.get_parameter(name).numel()
        whole = dense.setdefault(name, torch.zeros(size, size))
        where = entries.flatten()
        whole[where[:, None], where] = torch.kron(gram_g, gram_a) / count
    return dense


def read_fc(path, x, jac):
    entries = torch.arange(path.theta.numel()).view(path.theta.shape)
    return {"theta": [(entries, x.flatten()[None], jac.flatten(1).T[None])]}


def read_factored(path, x, jac):
    """θ1: a block per output channel; θ2: a block per input channel, J of x1 by the chain rule."""
    out, in_, coarse = path.theta1.shape
    fine = path.theta2.shape[2]
    theta1, theta2 = path.theta1.detach(), path.theta2.detach()
    jac = jac.flatten(2)  # (k, c', q)
    first, second = [], []
    for o in range(out):
        x1 = torch.stack([theta2[o, c] @ x[c].flatten() for c in range(in_)])
        entries = torch.tensor(
            [[(o * in_ + c) * coarse + q for c in range(in_)] for q in range(coarse)]
        )
        first.append((entries, x1[None], jac[:, o].T[None]))
    for c in range(in_):
        g = torch.stack([jac[:, o] @ theta1[o, c] for o in range(out)])  # (c', k)
        entries = torch.tensor(
            [[(o * in_ + c) * fine + p for p in range(fine)] for o in range(out)]
        )
        second.append((entries, x[c].flatten()[None], g[None]))
    return {"theta1": first, "theta2": second}


def read_bias(path, x, jac):
    summed = jac.unflatten(1, (-1, path.orientations)).sum((2, 3, 4))
    return {"value": [(torch.arange(len(path.value))[:, None], torch.ones(1, 1), summed.T[None])]}


def read_group_conv(path, x, jac, pointwise=False):
    """y[c', h t, p] = Σ θ[c', t, (c, κ, ε)] x[c, h κ, p + R_h ε], a position for every (h, p).

    κ runs over all orientations, or over a transversal of K\\H where the filter is pointwise.
    """
    part, reach = path.part, path.stage.kernel_size // 2
    out, in_ = path.stage.channels
    group = part.parent
    height, width = x.shape[1:]
    orders = len(x) // in_
    held = part.right_transversal if pointwise else range(orders)
    taps = list(itertools.product(range(-reach, reach + 1), repeat=2))
    a, g = [], []
    for h, row, col in itertools.product(part.embedding, range(height), range(width)):
        patch = []
        for c, k, (i, j) in itertools.product(range(in_), held, taps):
            k = int(group.mul[h, k]) if orders > 1 else 0
            (a0, a1), (b0, b1) = group.matrices[h].tolist()
            r, q = row + a0 * i + a1 * j, col + b0 * i + b1 * j
            patch.append(x[c * orders + k, r % height, q % width])
        a.append(torch.stack(patch))
        rows = [
            jac[:, c * group.order + int(group.mul[h, t]), row, col]
            for c in range(out)
            for t in part.right_transversal
        ]
        g.append(torch.stack(rows))
    entries = torch.arange(path.theta.numel()).view(path.theta.shape)
    return {"theta": [(entries, torch.stack(a), torch.stack(g))]}


def read_pointwise(path, x, jac):
    return read_group_conv(path, x, jac, pointwise=True)


def read_invariant_conv(path, x, jac):
    """Trivial target: a[p] is the plain patch, summed over taps that share a parameter."""
    basis = torch.autograd.functional.jacobian(path.stage.filter, path.theta)
    one = basis[0, :, :, :, 0]  # (depth, k, k, columns)
    reach, (height, width) = path.stage.kernel_size // 2, x.shape[1:]
    a, g = [], []
    for row, col in itertools.product(range(height), range(width)):
        patch = torch.stack(
            [
                x[:, (row + i) % height, (col + j) % width]
                for i in range(-reach, reach + 1)
                for j in range(-reach, reach + 1)
            ],
            1,
        ).view(one.shape[:3])
        a.append(torch.einsum("dkl,dkli->i", patch, one))
        g.append(jac[:, :, row, col].T)
    entries = torch.arange(path.theta.numel()).view(path.theta.shape)
    return {"theta": [(entries, torch.stack(a), torch.stack(g))]}


def fields(group, in_, out, size, coarse=None, source="regular", target="regular"):
    return (
        Field(group, in_, size, rep=source),
        Field(group, out, coarse or size, rep=target),
    )


def conv(group, part, size, kernel=3, *, pointwise=False, **reps):
    source, target = fields(group, 2, 2, size, **reps)
    part = group.point_group.subgroup(part)
    return GroupConv(source, target, kernel, part, pointwise=pointwise)


PATHS = {
    "FC": (lambda: FC(*fields(Z2, 2, 3, (2, 3))), read_fc),
    "FC, stride 2, p4": (lambda: FC(*fields(P4, 1, 1, (2, 2), (1, 1))), read_fc),
    "F-FC": (lambda: FactoredFC(*fields(Z2, 2, 3, (2, 3))), read_factored),
    "F-FC, stride 2": (lambda: FactoredFC(*fields(Z2, 3, 2, (4, 2), (2, 1))), read_factored),
    "F-FC, p4": (lambda: FactoredFC(*fields(P4, 1, 1, (2, 2))), read_factored),
    "bias": (lambda: Bias(Field(Z2, 3, (2, 3))), read_bias),
    "bias, p4": (lambda: Bias(Field(P4, 3, (2, 2))), read_bias),
    "CONV": (lambda: conv(Z2, [], (3, 4)), read_group_conv),
    "CONV on 1×1": (lambda: conv(Z2, [], (1, 1)), read_group_conv),
    "CONV on 2×2": (lambda: conv(Z2, [], (2, 2)), read_group_conv),
    "CONV 5×5 on 4×4": (lambda: conv(Z2, [], (4, 4), 5), read_group_conv),
    "CONV 1×1": (lambda: conv(Z2, [], (2, 3), 1), read_group_conv),
    "CONV of p4 fields": (lambda: conv(P4, [], (2, 2)), read_group_conv),
    "GCONV p4": (lambda: conv(P4, [1], (3, 3)), read_group_conv),
    "GCONV p2 of p4": (lambda: conv(P4, [2], (3, 3)), read_group_conv),
    "GCONV pmm, not square": (lambda: conv(PMM, [1, 2], (2, 3)), read_group_conv),
    "GCONV flip of p4m": (lambda: conv(P4M, [5], (2, 2)), read_group_conv),
    "GCONV p4m": (lambda: conv(P4M, [1, 4], (2, 2), 1), read_group_conv),
    "pointwise p4": (lambda: conv(P4, [1], (3, 3), pointwise=True), read_pointwise),
    "pointwise p2 of p4": (lambda: conv(P4, [2], (2, 2), pointwise=True), read_pointwise),
    "pointwise flip of p4m": (lambda: conv(P4M, [5], (3, 3), pointwise=True), read_pointwise),
    "pointwise pmm, 5×5": (lambda: conv(PMM, [1, 2], (2, 3), 5, pointwise=True), read_pointwise),
    "lifting p4": (lambda: conv(P4, [1], (3, 3), source="trivial"), read_group_conv),
    "lifting, flip of p4m": (lambda: conv(P4M, [4], (3, 3), source="trivial"), read_group_conv),
    "invariant p4": (lambda: conv(P4, [1], (3, 3), target="trivial"), read_invariant_conv),
    "p4, both trivial": (
        lambda: conv(P4, [1], (3, 3), source="trivial", target="trivial"),
        read_invariant_conv,
    ),
}
LIKELIHOODS = {"classification": ("classification", 3), "noise 0.3": (Gaussian(0.3), 2)}


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("name", PATHS)
def test_path_blocks_are_the_sums_of_their_definition(name, likelihood):
    build, read = PATHS[name]
    chosen, out = LIKELIHOODS[likelihood]
    first = build()
    shape = getattr(first, "in_shape", None) or (len(first.value) * first.orientations, 2, 2)
    xs = torch.randn(3, *shape)
    net = Probed(first, first(xs[:1]).numel(), out)
    ys = torch.tensor([0, 2, 1]) if chosen == "classification" else torch.randn(3, out)
    found = kfac(net, [(xs[:2], ys[:2]), (xs[2:], ys[2:])], likelihood=chosen)
    expected = explicit(net, xs, chosen, read)
    assert found.keys() == {f"first.{own}" for own in expected}
    for own, truth in expected.items():
        torch.testing.assert_close(found[f"first.{own}"].dense(), truth)
