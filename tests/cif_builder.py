"""CIF text for tests, built from a space group's table entry or from whatever a test wants to get wrong."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi

Site = tuple[str, float, float, float]


def cif(
    *,
    cell: Sequence[object] = (4.0, 4.0, 4.0, 90, 90, 90),
    symmetry: str = "_space_group_name_H-M_alt 'P 1'",
    sites: Sequence[Site] = (("Na", 0.0, 0.0, 0.0),),
    extra: str = "",
    block: str = "x",
    u_iso: float | None = 0.01,
) -> str:
    """A small CIF; `symmetry` and `extra` are inserted as they stand, `u_iso` None leaves the column out."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{block}"]
    lines += [f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True)]
    lines += [symmetry, extra, "loop_"]
    lines += [f"_atom_site_{name}" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z")]
    if u_iso is not None:
        lines.append("_atom_site_U_iso_or_equiv")
    end = "" if u_iso is None else f" {u_iso}"
    lines += [f"{e}{i} {e} {x:.8f} {y:.8f} {z:.8f}{end}" for i, (e, x, y, z) in enumerate(sites, 1)]
    return "\n".join(lines) + "\n"


def operations(setting: str | gemmi.SpaceGroup) -> str:
    """The loop of symmetry operations of a setting, as a CIF lists them."""
    group = gemmi.SpaceGroup(setting) if isinstance(setting, str) else setting
    return "loop_\n_space_group_symop_operation_xyz\n" + "\n".join(f"'{op.triplet()}'" for op in group.operations())


def cell_for(group: gemmi.SpaceGroup) -> tuple[float, float, float, float, float, float]:
    """A cell without more symmetry than the crystal system of a tabulated setting asks for."""
    a, b, c = 12.1, 15.3, 18.7
    system = group.crystal_system_str()
    if system == "triclinic":
        return a, b, c, 73.0, 81.0, 104.0
    if system == "monoclinic":
        angles = [90.0, 90.0, 90.0]
        angles["abc".index(group.monoclinic_unique_axis())] = 107.0
        return a, b, c, angles[0], angles[1], angles[2]
    if system == "orthorhombic":
        return a, b, c, 90.0, 90.0, 90.0
    if system == "tetragonal":
        return a, a, c, 90.0, 90.0, 90.0
    if system == "cubic":
        return a, a, a, 90.0, 90.0, 90.0
    if group.ext == "R":
        return a, a, a, 71.0, 71.0, 71.0
    return a, a, c, 90.0, 90.0, 120.0
