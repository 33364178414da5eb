"""What a sparse path is: how it prints, what specs make it, and what is refused."""

import math

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import GroupError, SpecError
from relaxeq.fields import Field
from relaxeq.paths import Sparse, SparseCayley, SparseFC, Vectors

P4 = groups.semidirect(groups.Z2(), groups.p4())
LAYER = (Field(groups.Z2(), 2, (4, 4)), Field(groups.Z2(), 2, (4, 4)))
REGULAR = Vectors(groups.symmetric(3).regular, 2)


def test_layers_print_their_options():
    layer = rq.RelaxedLayer(*LAYER, "S-FC", prior="lengthscales")
    assert "prior='lengthscales'" in repr(layer)
    assert "Amplitudes(" in repr(layer)
    assert "8 functions on 16 places" in repr(layer)
    assert repr(Sparse(omega=0.5)).startswith("Sparse(prior='anchors', anchors=None")
    assert hash(Sparse()) == hash(Sparse("anchors"))


ERRORS = {
    "prior": (
        lambda: rq.RelaxedLayer(*LAYER, "S-FC", prior="weights"),
        "prior='weights' is not 'anchors' or 'lengthscales'",
    ),
    "prior of a dense layer": (
        lambda: rq.RelaxedLayer(*LAYER, "CONV", prior=1),
        "prior=1 is not 'anchors' or 'lengthscales'",
    ),
    "prior of a network": (
        lambda: rq.models.PaperNet("S-FC", size=(8, 8), prior="x"),
        "prior='x' is not",
    ),
    "options": (lambda: Sparse("x"), "prior='x' of a sparse path is not 'anchors' or"),
    "design": (lambda: Sparse(design="random"), "design='random' of a sparse path is not 'grid'"),
    "basis": (lambda: Sparse(basis="b"), "basis='b' of a sparse path is not 'exponential' or"),
    "no anchor": (
        lambda: Sparse(anchors=0),
        "anchors=0 of a sparse path must be a positive integer",
    ),
    "half an anchor": (lambda: Sparse(anchors=True), "anchors=True of a sparse path"),
    "omega 0": (lambda: Sparse(omega=0.0), "omega=0.0 .* must be positive.*prior_variance = 0"),
    "omega nan": (lambda: Sparse(omega=math.nan), "omega=nan"),
    "pairs of a group": (
        lambda: rq.RelaxedLayer(
            Field(P4, 1, (4, 4)), Field(P4, 1, (4, 4)), "S-GCONV", prior=Sparse(per_pair=True)
        ),
        "per_pair=True of S-GCONV: only S-FC and S-CONV",
    ),
    "pairs of positions": (
        lambda: rq.RelaxedLayer(*LAYER, "NS-CONV", prior=Sparse(per_pair=True)),
        "per_pair=True of NS-CONV",
    ),
    "pairs of a finite group": (
        lambda: SparseCayley(REGULAR, REGULAR, options=Sparse(per_pair=True)),
        "per_pair=True of S-GCONV",
    ),
    "no point group": (lambda: rq.RelaxedLayer(*LAYER, "S-GCONV"), "S-GCONV needs a point group"),
    "trivial target": (
        lambda: rq.RelaxedLayer(Field(P4, 1, (4, 4)), Field(P4, 1, (4, 4), "trivial"), "S-GCONV"),
        "S-GCONV into a trivial field .* write GCONV there",
    ),
    "filters": (
        lambda: rq.RelaxedLayer(
            Field(P4, 1, (4, 4)), Field(P4, 1, (4, 4)), "S-GCONV", filters="separable"
        ),
        "filters='separable' has no S-GCONV",
    ),
    "unknown path": (lambda: rq.RelaxedLayer(*LAYER, "S-MAP"), "'S-MAP' is not a path"),
}


@pytest.mark.parametrize(("build", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(build, message, unchecked):
    with pytest.raises(SpecError, match=message):
        build()


def test_errors_of_representations():
    group = groups.symmetric(3)
    natural = Vectors(group.natural, 2)
    with pytest.raises(GroupError, match="S-GCONV convolves over a finite group"):
        SparseCayley(natural, natural)
    with pytest.raises(GroupError, match="target=.* has no places with a distance"):
        SparseFC(natural, natural)


def test_specs_of_subgroups_and_representations(float64):
    fields = Field(P4, 1, (4, 4))
    layer = rq.RelaxedLayer(fields, fields, "S-FC+S-GCONV[p2]+S-CONV", filters="full")
    assert [path.symmetry for path in layer.paths.values()] == ["none", "Z2 ⋊ p2", "Z2"]
    layer.paths["S-FC"].prior_variance = layer.paths["S-CONV"].prior_variance = 0.0
    assert layer.paths["S-GCONV[p2]"].u.shape == (2, 1, 18)
    regular = groups.symmetric(3).regular
    linear = rq.RelaxedLinear(regular, regular, (2, 3), "S-FC+S-GCONV", prior="lengthscales")
    assert [p.symmetry for p in linear.paths.values()] == ["none", "S3"]
    linear.paths["S-FC"].prior_variance = 0.0
    x = linear.source.random(2)
    for g in groups.symmetric(3).elements:
        torch.testing.assert_close(linear(linear.source.act(g, x)), linear.target.act(g, linear(x)))
    assert "prior='lengthscales'" in repr(linear)
