"""Real maps of other programs run through, with figures that make sense (criterion 3 of the issue)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nbedex.boundaries import BoundaryNetwork, csl_shares, trace_boundaries
from nbedex.grains import find_grains, read_orientation_map

DATA = Path(__file__).parents[3] / "shared" / "data"


def traced(name: str) -> BoundaryNetwork:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"needs {name} in ../shared/data")
    return trace_boundaries(find_grains(read_orientation_map(path)))


ASTAR = [
    "steel_nbed_subset/median_filter4_scale15-100_bin4_box__0-0_111-59__150step_test5_fussy.ctf",
    "steel_nbed_subset/TVIPS_without_mask.ctf",
    "steel_nbed_subset/astar_g.ctf",
    "steel_nbed_subset/200625ResultsAusteniteNoLin.ctf",
    "astar_ang_mtex/ACOM.ang",
    "orientation_maps/DC06_2uniax.ang",
    "orientation_maps/sdss_ferrite_austenite.ang",
    "orientation_maps/twins.ctf",
]


@pytest.mark.parametrize("name", ASTAR)
def test_maps_run_through(name: str) -> None:
    net = traced(name)
    b, step = net.boundaries, net.grain_map.source.step
    assert len(b) >= 1 and np.all(b.length > 0) and all(np.isfinite(p).all() for p in b.points)
    region = net.grain_map.grain_id
    along = (region[1:] != region[:-1]).sum() * step[1] + (region[:, 1:] != region[:, :-1]).sum() * step[0]
    # a staircase is longer than the boundary it stands for, by 4/pi if that runs in all directions
    assert 0.5 * along < b.length.sum() < along
    known = np.isfinite(b.disorientation_deg)
    assert np.all(b.disorientation_deg[known] > 1) and np.all(b.disorientation_deg[known] < 94)
    near = net.grain_map.neighbours
    assert {(int(p), int(q)) for p, q in zip(b.grain_a, b.grain_b, strict=True)} == {(int(p), int(q)) for p, q in near}


def twin_share(net: BoundaryNetwork) -> float:
    return sum(s.share for s in csl_shares(net) if s.twin)


@pytest.mark.parametrize("name", ASTAR[:2])
def test_annealing_twins_in_fcc_metal(name: str) -> None:
    """Over a third of the boundary length is Σ3; random grains would have 1.8 %."""
    net = traced(name)
    assert 0.25 < twin_share(net) < 0.6
    assert np.median(net.boundaries.csl_deviation_deg[net.boundaries.twin]) < 4


def test_twins_in_magnesium() -> None:
    """{10-12}, 86.3 degrees about <11-20>."""
    path = DATA / "orientation_maps" / "twins.ctf"
    if not path.is_file():
        pytest.skip("needs orientation_maps/twins.ctf in ../shared/data")
    net = trace_boundaries(find_grains(read_orientation_map(path)))
    assert twin_share(net) == pytest.approx(0.46, abs=0.05)
    b = net.boundaries
    assert {b.csl_label[k].split(" (")[0] for k in np.flatnonzero(b.twin & (b.sigma == 17))} == {"Σ17 86.63°[100]"}
