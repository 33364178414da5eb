"""escnn beside scikit-learn and without its optional parts; how the package may be imported."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from relaxeq.errors import GroupError
from relaxeq.groups import bridge

ROOT = Path(__file__).parents[2]

# What scikit-learn from 1.2 does with an np.matrix.
SKLEARN = """
import numpy
def randomized_svd(M, **options):
    if isinstance(M, numpy.matrix):
        raise TypeError("np.matrix is not supported. Please convert to a numpy array.")
    raise AssertionError("not reached")
"""
MISSING = "raise ImportError('not installed here')"

# The function under joblib's disk cache, so that an old result hides nothing.
CLEBSCH_GORDAN = """
import sklearn.utils.extmath
from relaxeq import groups
from relaxeq.groups import bridge
escnn = bridge.load()
from escnn.group import _clebsh_gordan, _numerical
{patch}
compute = _clebsh_gordan._clebsh_gordan_tensor.func
assert compute((1, 1), (1, 1), (1, 2), "DihedralGroup", N=5).shape == (2, 2, 1, 2)
plane = groups.dihedral(5).irreps[2]
assert len(groups.equivariant_basis(plane @ plane, plane @ plane)) == 3
assert [rho.dim for rho in groups.octahedral().irreps] == [1, 3, 3, 2, 1]
"""


def run(code, path):
    """A fresh interpreter, warnings being errors, that finds the modules in `path` first."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])},
        capture_output=True,
        text=True,
    )


def fake(path, name, text):
    file = path.joinpath(*name.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    for folder in file.relative_to(path).parents[:-1]:
        (path / folder / "__init__.py").touch()
    file.write_text(text)


@pytest.fixture
def modules(tmp_path):
    """A folder with scikit-learn as it is today, and without escnn's optional packages."""
    fake(tmp_path, "sklearn.utils.extmath", SKLEARN)
    for name in ("py3nj", "pymanopt", "autograd"):
        fake(tmp_path, name, MISSING)
    return tmp_path


def test_works_quietly_beside_scikit_learn_and_without_optional_packages(modules):
    done = run(CLEBSCH_GORDAN.format(patch=""), modules)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_stand_in_for_scikit_learn_is_the_one_that_breaks_escnn(modules):
    undo = "_numerical.randomized_svd = sklearn.utils.extmath.randomized_svd"
    done = run(CLEBSCH_GORDAN.format(patch=undo), modules)
    assert done.returncode == 1
    assert "np.matrix is not supported" in done.stderr


def test_escnn_waits_until_irreps_are_asked_for(tmp_path):
    done = run(
        "import sys\n"
        "from relaxeq import groups\n"
        "p4m = groups.p4m()\n"
        "rho = 2 * p4m.trivial + groups.quotient(p4m, groups.p2())\n"
        "groups.equivariant_basis(p4m.regular, rho)\n"
        "assert 'escnn' not in sys.modules\n"
        "assert len(p4m.irreps) == 5\n"
        "assert 'escnn' in sys.modules\n",
        tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_irreps_built_for_the_first_time_print_nothing(capfd):
    bridge.load()
    octa = importlib.import_module("escnn.group.groups.octa")
    ico = importlib.import_module("escnn.group.groups.ico")
    assert octa._build_octa_irrep_picklable._verbose == 0
    assert ico._build_ico_irrep_picklable._verbose == 0
    # Past the disk cache, as on a new machine.
    octa._build_octa_irrep_picklable.call(bridge.load().octa_group(), 3)
    assert capfd.readouterr() == ("", "")


def test_without_escnn_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "escnn", None)
    bridge.load.cache_clear()
    with pytest.raises(GroupError, match="pip install --no-deps escnn==1.0.11"):
        bridge.load()


def test_the_package_has_one_name(tmp_path):
    done = run(f"import sys; sys.path.insert(0, {str(ROOT)!r}); import groups", tmp_path)
    assert done.returncode == 1
    assert "ImportError: this package is not 'groups': write `from relaxeq import" in done.stderr
