"""The package that users install is the one that lies here: lists, link, versions, wheel, sdist."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
NEVER_IMPORTED = {"py3nj", "pymanopt", "autograd"}  # escnn asks for them, and works without
SOURCES = ["pyproject.toml", "README.md", "LICENSE", "relaxeq", "groups"]
IN_WHEEL = {
    "relaxeq/data/digits.npz",
    "relaxeq/data/DIGITS.md",
    "relaxeq/py.typed",
    "relaxeq/report/page.html.jinja",
}


def packages_on_disk() -> Iterator[str]:
    """Yield the name of each package; rglob does not follow the link relaxeq/groups."""
    for top, name in (("relaxeq", "relaxeq"), ("groups", "relaxeq.groups")):
        for init in (ROOT / top).rglob("__init__.py"):
            yield ".".join((name, *init.parent.relative_to(ROOT / top).parts))


def locked(file: str = "requirements.lock") -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for texts in [PROJECT["dependencies"], *extras] for text in texts]


def test_every_package_on_disk_is_listed_and_the_other_way() -> None:
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    assert listed == sorted(packages_on_disk())


def test_groups_is_a_link_in_checkouts_and_a_mapping_in_wheels() -> None:
    link = ROOT / "relaxeq" / "groups"
    assert link.is_symlink()
    assert os.readlink(link) == "../groups"
    assert PYPROJECT["tool"]["setuptools"]["package-dir"]["relaxeq.groups"] == "groups"


def test_groups_refuses_any_other_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import groups"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "from relaxeq import groups" in done.stderr


def test_the_lock_meets_the_ranges_of_pyproject() -> None:
    pins = locked("experiments/peers/requirements.lock") | locked()
    unmet = [
        str(need)
        for need in requirements()
        if not need.specifier.contains(pins[canonicalize_name(need.name)], prereleases=True)
    ]
    assert not unmet


def test_the_lock_is_what_runs_and_lacks_only_what_escnn_never_imports() -> None:
    pins = locked()
    wanted: dict[str, set[str]] = {}
    for name, version in pins.items():
        found = metadata.distribution(name)
        assert found.version == version, f"{name}: write make test, it installs the lock"
        for text in found.requires or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                wanted.setdefault(canonicalize_name(need.name), set()).add(name)
    assert set(wanted) - set(pins) == NEVER_IMPORTED


def test_the_version_has_an_entry_in_the_changelog_or_is_unreleased() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([], [PROJECT["version"]])


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build a wheel from a copy of the checkout, and another from its sdist."""
    out = tmp_path_factory.mktemp("dist")
    checkout = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name, symlinks=True)
        else:
            shutil.copy(ROOT / name, checkout / name)
    sdist = out / build(checkout, "build_sdist", out)
    unpacked = tmp_path_factory.mktemp("sdist")
    shutil.unpack_archive(sdist, unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return {
        "checkout": out / build(checkout, "build_wheel", out),
        "sdist": source / build(source, "build_wheel", source),
    }


def build(source: Path, what: str, out: Path) -> str:
    code = f"from setuptools import build_meta; print(build_meta.{what}({str(out)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("origin", ["checkout", "sdist"])
def test_the_wheel_holds_the_package_and_nothing_else(wheels: dict[str, Path], origin: str) -> None:
    with zipfile.ZipFile(wheels[origin]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {
        (name / file.relative_to(ROOT / top)).as_posix()
        for top, name in (("relaxeq", Path("relaxeq")), ("groups", Path("relaxeq/groups")))
        for file in (ROOT / top).rglob("*.py")
    }
    assert names == modules | IN_WHEEL


@pytest.mark.parametrize("origin", ["checkout", "sdist"])
def test_the_wheel_works_beside_a_users_own_groups_module(
    wheels: dict[str, Path], origin: str, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.unpack_archive(wheels[origin], site, format="zip")
    (tmp_path / "groups.py").write_text("mine = True\n")
    code = (
        "import relaxeq, groups, relaxeq.groups as ours, relaxeq.data as data\n"
        "assert groups.mine and ours.cyclic(4).order == 4 and len(data.load_digits()[1]) == 1797\n"
        "print(relaxeq.__file__, ours.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert all(path.startswith(str(site)) for path in done.stdout.split())
