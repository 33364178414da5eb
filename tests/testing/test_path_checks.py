"""check_path: every right path passes, and each way of being wrong is found and told by numbers."""

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import EquivarianceError, RelaxeqError, SpecError
from relaxeq.paths import FILTERS, PATHS, Path, Sparse
from relaxeq.shapes import Expanded, Gram, Matrix
from relaxeq.sites import Layout, Rearranged, Site, gram_of, tap
from relaxeq.testing import CheckError, Vectors, check_path

P4 = groups.planar("p4")
P4M = groups.planar("p4m")
SCALARS = rq.Field(P4, 2, (3, 3), rep="trivial")
REGULAR = rq.Field(P4, 1, (3, 3))


class Scaling(Path):
    """y[c] = θ[c] x[c], a right path with the symmetry of the grid; the wrong ones change it."""

    def __init__(self, symmetry: str = "Z2 ⋊ p4") -> None:
        super().__init__("SCALE", (2, 3, 3), (2, 3, 3))
        self.stated = symmetry
        self.theta = nn.Parameter(torch.ones(2))
        self.register_buffer("one", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return tap(self, "theta", x, self.one * x * self.theta[:, None, None])

    def sites(self) -> dict[str, Site]:
        rows = Rearranged("n c h w -> n c (h w) 1")
        return {"theta": Site(rows, rows, (2, 1, 1))}

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        self.theta.data.fill_(gain)

    @property
    def symmetry(self) -> str:
        return self.stated


class Quadratic(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * x)


class InTheta(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return tap(self, "theta", x, x * self.theta.square()[:, None, None])


class Constant(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class Coupled(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0))


class Flattened(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten(1)


class WrongMatrix(Scaling):
    def matrix(self) -> Matrix:
        return super().matrix().mT * 1.01


class Ramp(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * torch.arange(3).to(x))


class Halved(Scaling):
    """Its site leaves half of the positions out."""

    def sites(self) -> dict[str, Site]:
        rows = Rearranged("n c h w -> n c (h w) 1")
        return {"theta": Site(FirstOnly(rows), rows, (2, 1, 1))}


@dataclass(frozen=True)
class FirstOnly(Layout):
    layout: Layout

    def expand(self, tensor: Tensor) -> Expanded:
        expanded = self.layout.expand(tensor)
        mask = torch.arange(expanded.shape[2]).to(tensor) < 4
        return expanded * mask[:, None]

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return self.layout.shared(tensor)


@dataclass(frozen=True)
class Changed(Layout):
    """A layout with a Gram or a count of its own."""

    layout: Layout
    factor: float = 1.0
    count: int | None = None

    def expand(self, tensor: Tensor) -> Expanded:
        return self.layout.expand(tensor)

    def gram(self, tensor: Tensor) -> Gram:
        return self.factor * self.layout.gram(tensor)

    def shared(self, tensor: Tensor) -> int:
        return self.layout.shared(tensor) if self.count is None else self.count


class WrongGram(Scaling):
    def sites(self) -> dict[str, Site]:
        rows = Rearranged("n c h w -> n c (h w) 1")
        return {"theta": Site(Changed(rows, factor=2.0), rows, (2, 1, 1))}


class WrongCount(Scaling):
    def sites(self) -> dict[str, Site]:
        rows = Rearranged("n c h w -> n c (h w) 1")
        return {"theta": Site(rows, Changed(rows, count=1), (2, 1, 1))}


class Unsited(Scaling):
    def sites(self) -> dict[str, Site]:
        return {}


class Untapped(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.theta[:, None, None]


@dataclass(frozen=True)
class Padded(Layout):
    """As many positions again, all of them 0: gradients and Grams stay, 1/S does not."""

    layout: Layout

    def expand(self, tensor: Tensor) -> Expanded:
        expanded = self.layout.expand(tensor)
        return torch.cat([expanded, torch.zeros_like(expanded)], 2)

    def gram(self, tensor: Tensor) -> Gram:
        return self.layout.gram(tensor)

    def shared(self, tensor: Tensor) -> int:
        return 2 * self.layout.shared(tensor)


class WrongScale(Scaling):
    def sites(self) -> dict[str, Site]:
        rows = Padded(Rearranged("n c h w -> n c (h w) 1"))
        return {"theta": Site(rows, rows, (2, 1, 1))}


class ModeDependent(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.training else 2 * x)


class ModeDependentState(Scaling):
    def train(self, mode: bool = True) -> "ModeDependentState":
        super().train(mode)
        if mode and hasattr(self, "kept"):
            del self.kept
        elif not mode:
            self.register_buffer("kept", self.theta.detach().clone())
        return self


class Stale(Scaling):
    """Keeps its weight in eval mode and does not notice new parameters."""

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.kept = None
            return super().forward(x)
        if self.kept is None:
            self.kept = self.theta.detach().clone()
        return x * self.kept[:, None, None]


class ForgetsVariance(Scaling):
    def set_extra_state(self, state: Tensor) -> None:
        pass


class AlwaysDouble(Scaling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).double()


class OnTheCpu(Scaling):
    def __init__(self) -> None:
        super().__init__()
        self.constant = torch.ones(3, 3, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.constant.to(x.dtype))


class Rounded(Scaling):
    """A constant that float32 cuts short for good."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("third", torch.tensor(1 / 3, dtype=torch.float64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.third)


class NeverOff(Scaling):
    def sample_prior_(self, generator: torch.Generator | None = None) -> None:
        self.theta.data.normal_(generator=generator)


WRONG: dict[str, tuple[Callable[[], Path], type[RelaxeqError], str]] = {
    "quadratic": (Quadratic, CheckError, r"SCALE: f\(2x − 3x'\) against 2f\(x\) − 3f\(x'\): entry"),
    "parameter": (InTheta, CheckError, r"SCALE: f under 2θ − 3θ' for θ = theta: entry"),
    "constant": (Constant, CheckError, r"f where all weights are 0: entry \(0, 0, 0, 0\) is 1"),
    "batch": (Coupled, CheckError, "SCALE: the last datum alone: entry"),
    "shape": (Flattened, CheckError, r"out_shape is \(2, 3, 3\), and forward gives \(3, 18\)"),
    "matrix": (WrongMatrix, CheckError, r"matrix\(\) @ x against forward\(x\): entry"),
    "symmetry": (Ramp, EquivarianceError, r"states the symmetry 'Z2 ⋊ p4', but f\(a·x\) differs"),
    "gradient": (Halved, CheckError, "the gradient of theta, rebuilt from its site,: entry"),
    "gram": (WrongGram, CheckError, "the Gram of the inputs of theta: entry"),
    "count": (WrongCount, CheckError, "shares 9 positions of the inputs and 9 .* says 9 and 1"),
    "kfac": (WrongScale, CheckError, "SCALE: KFAC of theta: entry"),
    "no site": (Unsited, CheckError, "'theta' of a Unsited has no curvature site"),
    "no tap": (Untapped, CheckError, r"never shows theta: write `z = tap\(self, 'theta', x, z\)`"),
    "modes": (ModeDependent, CheckError, "forward in eval mode against train mode: entry"),
    "state": (ModeDependentState, CheckError, r"state_dict holds .* in train mode and .*'kept'"),
    "cache": (Stale, CheckError, "in eval mode after its parameters changed in place: entry"),
    "variance": (
        ForgetsVariance,
        CheckError,
        "prior_variance is 2.0 after load_state_dict of 0.375",
    ),
    "dtype": (AlwaysDouble, CheckError, r"\.float\(\) gives outputs of torch.float64"),
    "device": (OnTheCpu, CheckError, "moved to meta and torch.float64, it fails: "),
    "accuracy": (
        Rounded,
        CheckError,
        r"forward after \.float\(\) and \.to\(torch\.float64\): entry",
    ),
    "off": (NeverOff, CheckError, "under σ² = 0 it gives outputs up to .* says off = True"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_path_is_found(name: str) -> None:
    build, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        check_path(build(), SCALARS, SCALARS)
    with pytest.raises(error, match=message):
        check_path(build())


def test_a_right_path_of_a_users_own_passes_and_is_left_alone() -> None:
    path = Scaling()
    before = copy.deepcopy(path.state_dict())
    path.train()
    check_path(path, SCALARS, SCALARS)
    check_path(path)
    assert path.training
    assert path.theta.dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in path.state_dict().items())


def test_the_numbers_are_told() -> None:
    with pytest.raises(CheckError) as caught:
        check_path(Constant())
    assert str(caught.value) == (
        "SCALE: f where all weights are 0: entry (0, 0, 0, 0) is 1 and should be 0; the largest "
        "difference is 1.00e+00 of 0.00e+00."
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (lambda: nn.Conv2d(2, 2, 3), r"path=Conv2d must be a relaxeq\.paths\.Path"),
        (lambda: Scaling("p4 of my own"), r"symmetry='p4 of my own' of 'SCALE' reads as no planar"),
        (
            lambda: rq.RelaxedLayer(rq.Field(P4M, 1, (3, 3)), rq.Field(P4M, 1, (3, 3)), "FC").paths[
                "FC"
            ],
            r"path='FC' has 5184 weights and maps 72 entries to 72; dense matrices",
        ),
        (
            lambda: rq.RelaxedLinear(
                groups.cyclic(2).regular, groups.cyclic(2).regular, spec="MAP"
            ).paths["MAP"],
            r"source and target of 'MAP' are missing: give the relaxeq\.testing\.Vectors",
        ),
    ],
)
def test_what_cannot_be_checked_is_refused(path: Callable[[], Path], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_path(path())


FIELDS = [
    pytest.param(a, b, id=f"{a.rep} to {b.rep}")
    for a, b in itertools.product((SCALARS, REGULAR), repeat=2)
]
HALF_TURNS = rq.Field(groups.planar("p2"), 1, (2, 4))


@pytest.mark.parametrize(("source", "target"), FIELDS)
def test_convolutions_between_fields(source: rq.Field, target: rq.Field) -> None:
    layer = rq.RelaxedLayer(source, target, "CONV+GCONV+GCONV[p2]")
    for path in layer.paths.values():
        check_path(path, source, target)


def test_every_path_by_its_name() -> None:
    names = [name for name in PATHS if name not in ("GCONV", "STEER")]
    layer = rq.RelaxedLayer(HALF_TURNS, HALF_TURNS, "+".join([*names, "GCONV"]))
    for path in layer.paths.values():
        check_path(path, HALF_TURNS, HALF_TURNS)
        check_path(path)


SPARSE = {
    "anchors": Sparse(learn_omega=True, learn_anchors=True),
    "lengthscales": Sparse("lengthscales"),
    "a lengthscale per pair": Sparse("lengthscales", per_pair=True),
    "interpolating": Sparse(basis="interpolating"),
}


@pytest.mark.parametrize("prior", SPARSE)
@pytest.mark.parametrize("spec", ["S-FC", "S-CONV", "NS-CONV", "S-GCONV"])
def test_sparse_paths_with_and_without_variance(spec: str, prior: str) -> None:
    if SPARSE[prior].per_pair and spec in ("NS-CONV", "S-GCONV"):
        return  # these have none
    layer = rq.RelaxedLayer(HALF_TURNS, HALF_TURNS, spec, prior=SPARSE[prior], filters="full")
    path = layer.paths[spec]
    check_path(path, HALF_TURNS, HALF_TURNS)
    path.prior_variance = 0.0
    check_path(path, HALF_TURNS, HALF_TURNS)


def test_steerable_filters() -> None:
    source, target = (
        rq.Field(groups.planar("C8"), 1, (4, 4), rep) for rep in ("trivial", "regular")
    )
    layer = rq.RelaxedLayer(source, target, "STEER[p4]")
    check_path(layer.paths["STEER[p4]"], source, target)


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("group", [P4, groups.planar("pmm")], ids=str)
def test_all_filters(group: groups.PlanarGroup, filters: str) -> None:
    source, target = rq.Field(group, 2, (3, 3), rep="trivial"), rq.Field(group, 1, (3, 3))
    for first, last in ((source, target), (target, target)):
        check_path(
            rq.RelaxedLayer(first, last, "GCONV", filters=filters).paths["GCONV"], first, last
        )


@pytest.mark.parametrize("kernel_size", [1, 5])
def test_kernels_of_other_sizes(kernel_size: int) -> None:
    layer = rq.RelaxedLayer(HALF_TURNS, HALF_TURNS, "CONV+GCONV", kernel_size=kernel_size)
    for path in layer.paths.values():
        check_path(path, HALF_TURNS, HALF_TURNS)


@pytest.mark.parametrize("spec", ["MAP+FC+F-FC+MAP[C3]", "GCONV"])
def test_all_paths_between_representations(spec: str) -> None:
    s3 = groups.symmetric(3)
    layer = rq.RelaxedLinear(s3.regular, s3.regular, (2, 3), spec)
    for path in layer.paths.values():
        check_path(path, layer.source, layer.target)


def test_a_map_that_is_less_symmetric_than_it_says() -> None:
    s3 = groups.symmetric(3)
    path = rq.RelaxedLinear(s3.regular, s3.regular, spec="MAP[C3]").paths["MAP[C3]"]
    path._symmetry = "S3"
    with pytest.raises(EquivarianceError, match=r"MAP\[C3\]: it states the symmetry 'S3', but"):
        check_path(path, Vectors(s3.regular, 1), Vectors(s3.regular, 1))


def test_fields_must_be_those_of_the_path() -> None:
    path = Scaling()
    field = rq.Field(groups.planar("p4"), 5, (7, 7))
    with pytest.raises(
        SpecError, match=r"target=5×regular on 7×7 .* has features of shape \(20, 7"
    ):
        check_path(path, SCALARS, field)
    with pytest.raises(SpecError, match="the source of 'SCALE' has"):
        check_path(path, field, SCALARS)
