"""Coincidence site lattices: known angles, the definition, completeness, names and twin laws."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from nbedex.boundaries import BoundarySettings, csl_table
from nbedex.boundaries.csl import coincidence_rotations
from nbedex.boundaries.csl_labels import csl_names, label_csl, nearest_csl, tolerances_deg, twin_rows
from nbedex.boundaries.disorientation import reduced
from nbedex.boundaries.lattice import RationalLattice, rational_lattices
from nbedex.grains import MapPhase
from nbedex.maps.orientation import multiply
from nbedex.phases import load_phase
from nbedex.phases.cell import direct_basis
from nbedex.phases.rotations import quaternions
from oracles.coincidence import rational_rotations, sigma_by_counting, sigma_by_definition
from oracles.laue_groups import PROPER, matrix


def phase(laue: str, cell: tuple[float, ...] | None, centring: str = "P", group: str | None = None) -> MapPhase:
    rows = None if cell is None else direct_basis(cell).T
    return MapPhase(
        name="x", laue_class=laue, symmetry=quaternions(PROPER[group or laue]), direct_basis=rows, centring=centring
    )


HEX = (3.0, 3.0, 4.9, 90, 90, 120)
ALUMINA = (5.614, 5.614, 33.85, 90, 90, 120)
KNOWN = [
    # Grimmer, Bollmann & Warrington 1974, table: Σ, least angle, axis of cubic lattices
    (phase("m-3m", (4.0, 4.0, 4.0, 90, 90, 90), c), s, a, axis)
    for c in "PIF"
    for s, a, axis in [
        (3, 60.0, (1, 1, 1)), (5, 36.87, (1, 0, 0)), (7, 38.21, (1, 1, 1)), (9, 38.94, (1, 1, 0)),
        (11, 50.48, (1, 1, 0)), (13, 22.62, (1, 0, 0)), (13, 27.80, (1, 1, 1)), (15, 48.19, (2, 1, 0)),
        (17, 28.07, (1, 0, 0)), (17, 61.93, (2, 2, 1)), (19, 26.53, (1, 1, 0)), (19, 46.83, (1, 1, 1)),
        (21, 21.79, (1, 1, 1)), (21, 44.42, (2, 1, 1)), (25, 51.68, (3, 3, 1)), (27, 35.43, (2, 1, 0)),
        (33, 58.99, (1, 1, 0)), (49, 43.57, (5, 1, 1)),
    ]
]  # fmt: skip
KNOWN += [(phase("6/mmm", HEX), s, a, (0, 0, 1)) for s, a in [(7, 21.79), (13, 27.80), (19, 13.17)]]
# with three-fold symmetry about c only, theta and 60 - theta are different boundaries
KNOWN += [
    (phase("-3m", HEX, "P", "-3m1"), s, a, (0, 0, 1))
    for s, a in [(1, 60.0), (7, 21.79), (7, 38.21), (13, 27.80), (13, 32.20), (19, 13.17), (19, 46.83)]
]
# a rhombohedral lattice has no six-fold axis: 60 degrees is Σ3, and one of each pair becomes Σ3 times larger
KNOWN += [
    (phase("-3m", ALUMINA, "R", "-3m1"), s, a, (0, 0, 1))
    for s, a in [(3, 60.0), (7, 38.21), (13, 27.80), (19, 46.83), (21, 21.79)]
]
KNOWN += [(phase("4/mmm", (3.6, 3.6, 5.2, 90, 90, 90)), s, a, (0, 0, 1)) for s, a in [(5, 36.87), (13, 22.62)]]
KNOWN += [(phase("4/m", (3.6, 3.6, 5.2, 90, 90, 90)), 1, 180.0, (1, 0, 0))]
KNOWN += [(phase("m-3", (4.0, 4.0, 4.0, 90, 90, 90)), 1, 90.0, (0, 0, 1))]


@pytest.mark.parametrize(("kind", "sigma", "angle", "axis"), KNOWN)
def test_known_coincidences(kind: MapPhase, sigma: int, angle: float, axis: tuple[int, int, int]) -> None:
    table = csl_table(kind)
    rows = np.flatnonzero((table.sigma == sigma) & (np.abs(table.angle_deg - angle) < 0.006))
    assert any(np.array_equal(table.axis[row], axis) and table.exact[row] for row in rows), csl_names(table)


def test_the_cubic_table_is_the_published_one() -> None:
    """Σ with the number of distinct rotations, up to 49 (Mykura 1980)."""
    table = csl_table(phase("m-3m", (4.0, 4.0, 4.0, 90, 90, 90), "F"))
    several = {13: 2, 17: 2, 19: 2, 21: 2, 25: 2, 27: 2, 29: 2, 31: 2, 33: 3, 35: 2, 37: 3, 39: 2, 41: 3, 43: 3, 45: 3}
    several |= {47: 2, 49: 3}
    assert {int(s): int((table.sigma == s).sum()) for s in table.sigma} == {
        s: several.get(s, 1) for s in range(3, 50, 2)
    }
    assert np.all(table.sigma % 2 == 1)


METRICS = {
    "tetragonal I": ("4/mmm", [[4, 0, 2], [0, 4, 2], [2, 2, 3]], 9),
    "hexagonal 3/2": ("6/mmm", [[2, -1, 0], [-1, 2, 0], [0, 0, 3]], 14),
    "orthorhombic": ("mmm", [[2, 0, 0], [0, 3, 0], [0, 0, 5]], 9),
    "monoclinic": ("2/m, b unique", [[3, 0, -1], [0, 4, 0], [-1, 0, 5]], 6),
    "triclinic": ("-1", [[3, 1, -1], [1, 4, 0], [-1, 0, 5]], 4),
    "cubic": ("m-3", [[1, 0, 0], [0, 1, 0], [0, 0, 1]], 13),
}


@pytest.mark.parametrize("name", METRICS)
def test_the_list_is_complete_and_right(name: str) -> None:
    """Against all integer quaternions and the definition, in lattices of all systems."""
    group, metric, limit = METRICS[name]
    upper = np.linalg.cholesky(np.array(metric)).T
    lattice = RationalLattice(
        metric=np.array(metric), basis=upper, primitive=6 * np.eye(3, dtype=int), strain=0.0, description=""
    )
    symmetry = quaternions(PROPER[group])
    sigma, rotations = coincidence_rotations(lattice, symmetry, limit)
    mine = {(int(s), *np.rint(q * 1e5).astype(int)) for s, q in zip(sigma, rotations, strict=True)}
    expected = set()
    for s, q in rational_rotations(np.array(metric), limit):
        expected.add((s, *np.rint(reduced(q[None], symmetry)[0] * 1e5).astype(int)))
    assert mine == expected
    for s, q in zip(sigma, rotations, strict=True):
        assert sigma_by_definition(matrix(q), upper, limit) == s


def test_sigma_is_the_share_of_common_points() -> None:
    """Counted, not computed: one in Σ points of the lattice coincides."""
    kind = phase("-3m", (5.0, 5.0, 12.3, 90, 90, 120), "R", "-3m1")
    lattice = next(rational_lattices(kind.direct_basis, "R", tolerance=0.01))
    table = csl_table(kind, limit=11)
    assert len(table) > 3
    for sigma, q in zip(table.sigma, table.quaternion, strict=True):
        assert sigma_by_counting(matrix(q), lattice.basis, 14) == pytest.approx(sigma, rel=0.25)


def test_exact_and_strained_coincidences_are_told_apart() -> None:
    table = csl_table(phase("-3m", ALUMINA, "R", "-3m1"))
    about_c = np.all(table.axis == [0, 0, 1], axis=1)
    assert np.array_equal(table.exact, about_c)
    assert table.description == "(c/a)²=36"
    assert table.strain == pytest.approx(33.85 / 5.614 / 6 - 1, abs=1e-9)
    names = csl_names(table)
    assert "Σ3 60.00°[001]" in names
    assert [n for n in names if n.startswith("Σ8")] == ["Σ8 82.82°[841] ((c/a)²=36, strain 0.5 %)"]


def test_strained_cells_keep_their_frame_and_strain() -> None:
    """The strained cell is reached by pure strain: it's not turned against the crystal frame."""
    cell = direct_basis((5.15, 5.21, 5.32, 85.0, 99.2, 93.0)).T
    lattice = next(rational_lattices(cell, "P", tolerance=0.02))
    deformation = lattice.basis @ np.linalg.inv(cell.T)
    assert np.allclose(deformation, deformation.T, atol=1e-9 * np.abs(deformation).max())
    stretches = np.linalg.eigvalsh(deformation)
    assert lattice.strain == pytest.approx(stretches[-1] / stretches[0] - 1)
    assert 0 < lattice.strain <= 0.02
    assert np.allclose(lattice.basis.T @ lattice.basis, lattice.metric)


@pytest.mark.parametrize("centring", "PABCIFR")
def test_primitive_vectors_make_the_right_lattice(centring: str) -> None:
    cell = (4.0, 4.0, 9.0, 90, 90, 120) if centring == "R" else (4.0, 5.0, 6.0, 90, 90, 90)
    lattice = next(rational_lattices(direct_basis(cell).T, centring, tolerance=0.0))
    share = {"P": 1, "A": 2, "B": 2, "C": 2, "I": 2, "F": 4, "R": 3}[centring]
    assert np.linalg.det(lattice.primitive / 6) == pytest.approx(1 / share)
    # the centring translation is a lattice vector
    extra = {
        "P": [(1, 0, 0)], "A": [(0, 3, 3)], "B": [(3, 0, 3)], "C": [(3, 3, 0)], "I": [(3, 3, 3)],
        "F": [(0, 3, 3), (3, 0, 3), (3, 3, 0)], "R": [(4, 2, 2), (2, 4, 4)],
    }[centring]  # fmt: skip
    for sixths in extra:
        whole = np.linalg.solve(lattice.primitive, np.array(sixths) if centring != "P" else 6 * np.array(sixths))
        assert np.allclose(whole, np.rint(whole)), sixths


def test_pseudo_symmetry_shows_within_the_strain() -> None:
    """NZSP, C2/c, is nearly rhombohedral about c*: a third of a turn is Σ1 of a lattice strained by 1.8 %."""
    nzsp = MapPhase.of(load_phase("nzsp"))
    table = csl_table(nzsp, strain_tolerance=0.02)
    assert table.sigma[0] == 1 and table.angle_deg[0] == pytest.approx(120)
    assert not table.exact[0] and 0.01 < table.strain <= 0.02
    assert np.abs(table.quaternion[0, 3]) == pytest.approx(np.sin(np.pi / 3), abs=0.01)  # about c*
    assert not np.any(csl_table(nzsp, strain_tolerance=0.005).sigma == 1)


def test_without_a_cell_only_what_holds_for_any_axial_ratio() -> None:
    assert csl_names(csl_table(phase("-3m", None, "R", "-3m1"))) == [
        "Σ3 60.00°[001]", "Σ7 38.21°[001]", "Σ13 27.80°[001]", "Σ19 46.83°[001]", "Σ21 21.79°[001]",
    ]  # fmt: skip
    cubic = csl_table(phase("m-3m", None, "F"))
    assert len(cubic) == len(csl_table(phase("m-3m", (3.0, 3.0, 3.0, 90, 90, 90), "F")))
    assert len(csl_table(phase("mmm", None))) == 0
    assert len(csl_table(phase("-1", None))) == 0


def test_a_limit_that_would_take_too_long_is_lowered(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("nbedex"), "propagate", True)  # the command line turns it off
    thin = phase("4/mmm", (1.0, 1.0, 900.0, 90, 90, 90))
    with caplog.at_level(logging.WARNING, logger="nbedex"):
        table = csl_table(thin, limit=49)
    assert table.limit == 13 and table.sigma.tolist() == [5, 13]
    assert "coincidences are listed up to Σ13, not Σ49" in caplog.text


SETTINGS = BoundarySettings()


@pytest.mark.parametrize("group", ["-3m1", "m-3m", "4/m", "2/m, b unique"])
def test_nearest_coincidence_by_brute_force(group: str) -> None:
    """All operators on both sides, the grains both ways round, every row: the smallest deviation over tolerance."""
    laue = {"-3m1": "-3m"}.get(group, group.split(",")[0])
    cell = {
        "-3m": (4.0, 4.0, 9.8, 90, 90, 120),
        "m-3m": (4.0, 4.0, 4.0, 90, 90, 90),
        "4/m": (4.0, 4.0, 5.66, 90, 90, 90),
    }
    kind = phase(laue, cell.get(laue, (4.0, 4.9, 5.66, 90, 96.8, 90)), "P", group)
    table = csl_table(kind, limit=19)
    rng = np.random.default_rng(3)
    near = multiply(table.quaternion[rng.integers(len(table), size=60)], _small_turns(60, 6.0, rng))
    far = rng.normal(size=(40, 4))
    q = np.concatenate([near, far / np.linalg.norm(far, axis=1, keepdims=True)])
    row, deviation = nearest_csl(reduced(q, kind.symmetry), kind.symmetry, table, SETTINGS)
    limits = tolerances_deg(table.sigma, SETTINGS)
    s = PROPER[group]
    for k, quaternion in enumerate(q):
        turned = matrix(quaternion)
        both = np.stack([turned, turned.T])
        relative = np.empty(len(table))
        for t, c in enumerate(table.quaternion):
            variants = np.einsum("aij,jk,bkl->abil", s, matrix(c), s).reshape(-1, 3, 3)
            cosine = (np.einsum("nij,vij->nv", both, variants).max() - 1) / 2
            relative[t] = np.rad2deg(np.arccos(np.clip(cosine, -1, 1))) / limits[t]
        if relative.min() > 1:
            assert row[k] == -1 and np.isnan(deviation[k])
        else:
            assert relative[row[k]] == pytest.approx(relative.min(), abs=1e-6)
            assert deviation[k] == pytest.approx(relative.min() * limits[row[k]], abs=1e-4)
    assert (row >= 0).sum() > 20 and (row < 0).sum() > 5


def _small_turns(n: int, largest_deg: float, rng: np.random.Generator) -> np.ndarray:
    axis = rng.normal(size=(n, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    half = np.deg2rad(rng.uniform(0, largest_deg, (n, 1))) / 2
    return np.concatenate([np.cos(half), np.sin(half) * axis], axis=1)


def test_brandon_and_its_other_exponent() -> None:
    assert tolerances_deg(np.array([3, 9, 25]), SETTINGS) == pytest.approx([8.6603, 5.0, 3.0], abs=1e-4)
    narrow = BoundarySettings(brandon_exponent=5 / 6)
    assert tolerances_deg(np.array([3, 27]), narrow) == pytest.approx([6.0046, 0.9623], abs=1e-4)
    kind = phase("-3m", ALUMINA, "R", "-3m1")
    for angle, label in [(60 - 8.6, "Σ3 60.00°[001]"), (60 - 8.7, ""), (14.9, "Σ1")]:
        q = np.array([[np.cos(np.deg2rad(angle / 2)), 0, 0, np.sin(np.deg2rad(angle / 2))]])
        got = label_csl(reduced(q, kind.symmetry), kind, BoundarySettings(csl_limit=3))
        assert got.label == (label,)
        assert got.sigma[0] == {"Σ3 60.00°[001]": 3, "": 0, "Σ1": 1}[label]
        assert got.deviation_deg[0] == pytest.approx({60 - 8.6: 8.6, 14.9: 14.9}.get(angle, np.nan), nan_ok=True)


def test_twin_laws() -> None:
    def laws(kind: MapPhase) -> list[str]:
        table = csl_table(kind)
        return [name for name, twin in zip(csl_names(table), twin_rows(table, kind), strict=True) if twin]

    assert laws(phase("m-3m", (4.0, 4.0, 4.0, 90, 90, 90), "F")) == ["Σ3 60.00°[111]"]
    assert laws(phase("-3m", ALUMINA, "R", "-3m1")) == ["Σ3 60.00°[001]"]
    assert laws(phase("-3m", HEX, "P", "-3m1")) == ["Σ1 60.00°[001]"]  # as in quartz
    assert laws(phase("m-3", (4.0, 4.0, 4.0, 90, 90, 90)))[0] == "Σ1 90.00°[001]"  # as in pyrite
    assert laws(phase("6/mmm", (3.0, 3.0, 12.0, 90, 90, 120))) == []
    # hexagonal metals: {11-22} and {10-12}; the others have larger Σ
    magnesium = laws(phase("6/mmm", (3.209, 3.209, 5.21, 90, 90, 120)))
    assert [name.split(" (")[0] for name in magnesium] == ["Σ11 62.96°[210]", "Σ17 86.63°[100]"]
