"""A crystal with frozen phonons by abTEM's multislice, as the pattern a camera would see without noise.

A crystal of any orientation has no period a supercell could take. So a slab is cut from the turned crystal, wider than
the beam, which is a Gaussian and dark at the cell's edges. The cell is as wide as makes one step of its Fourier
transform one pixel of the detector. Who sits on a site that is shared or not always occupied is drawn for each copy of
it, and each atom is displaced on its own, as Einstein's phonons are.
"""

from __future__ import annotations

import abtem
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from validation.bloch import TO_ABTEM, matrix
from validation.conditions import Slab
from validation.crystal import UnitCell

Array = NDArray[np.float64]


def pattern(cell: UnitCell, quaternion: Array, thickness_nm: float, slab: Slab, rng: np.random.Generator) -> Array:
    """Share of the electrons (size, size) in each pixel, rows along Y, columns along X, beam at [size/2, size/2]."""
    # within this call only: Bloch waves want float64
    with abtem.config.set({"precision": "float32", "diagnostics.progress_bar": False}):
        total = np.zeros((slab.grid, slab.grid))
        for _ in range(slab.configurations):
            atoms = cut_out(cell, quaternion, slab.width, 10 * thickness_nm, rng)
            total += _diffracted(atoms, slab)
    # abTEM's axes are (x, y) and its y is our -Y
    shown = np.roll(total.T[::-1], 1, axis=0) / slab.configurations
    first = (slab.grid - slab.size) // 2
    return np.ascontiguousarray(shown[first : first + slab.size, first : first + slab.size])


def cut_out(cell: UnitCell, quaternion: Array, width: float, depth: float, rng: np.random.Generator) -> Atoms:
    """Atoms of the turned crystal in a box, in abTEM's frame, displaced and drawn. Lengths in angstrom."""
    basis = cell.basis @ (TO_ABTEM @ matrix(quaternion).T).T
    half = width / 2
    box = np.array([[x, y, z] for x in (-half, half) for y in (-half, half) for z in (0.0, depth)])
    indices = box @ np.linalg.inv(basis)
    low, high = np.floor(indices.min(axis=0)).astype(int) - 1, np.ceil(indices.max(axis=0)).astype(int) + 1
    spans = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    lattice = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1).reshape(-1, 3)
    positions, numbers = [], []
    for site in sites(cell):
        at = (lattice + cell.fractional[site[0]]) @ basis
        at = at[(np.abs(at[:, 0]) < half) & (np.abs(at[:, 1]) < half) & (at[:, 2] >= 0) & (at[:, 2] < depth)]
        # the species of each copy; those beyond the last are vacancies
        species = np.searchsorted(np.cumsum(cell.occupancy[site]), rng.random(len(at)), side="right")
        for i, atom in enumerate(site):
            those = at[species == i]
            positions.append(those + rng.normal(scale=np.sqrt(cell.u_iso[atom]), size=those.shape))
            numbers.append(np.full(len(those), cell.numbers[atom]))
    place = np.concatenate(positions) + np.array([half, half, 0.0])
    place[:, :2] %= width
    place[:, 2] = np.clip(place[:, 2], 0.0, depth - 1e-3)
    return Atoms(np.concatenate(numbers), positions=place, cell=[width, width, depth], pbc=True)


def sites(cell: UnitCell) -> list[list[int]]:
    """Numbers of the atoms on each site: those at the same place are rivals for it."""
    left, found = list(range(len(cell.numbers))), []
    while left:
        away = cell.fractional[left] - cell.fractional[left[0]]
        here = np.abs(away - np.rint(away)).max(axis=1) < 1e-3
        found.append([atom for atom, same in zip(left, here, strict=True) if same])
        left = [atom for atom, same in zip(left, here, strict=True) if not same]
    return found


def _diffracted(atoms: Atoms, slab: Slab) -> Array:
    """Intensities (grid, grid) behind one configuration, axes x and y of abTEM, the direct beam in the middle."""
    along = (np.arange(slab.grid) / slab.grid - 0.5) * slab.width
    beam = np.exp(-(along[:, None] ** 2 + along[None] ** 2) / (4 * slab.beam_sigma**2))
    beam /= np.linalg.norm(beam)
    waves = abtem.Waves(beam.astype(np.complex64), energy=slab.voltage * 1e3, extent=(slab.width, slab.width))
    potential = abtem.Potential(
        atoms, gpts=slab.grid, slice_thickness=slab.slice_thickness, parametrization="lobato", projection="infinite"
    )
    behind = np.asarray(waves.multislice(potential).compute().array)
    return np.asarray(np.fft.fftshift(np.abs(np.fft.fft2(behind)) ** 2) / slab.grid**2, dtype=float)
