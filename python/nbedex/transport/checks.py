"""What must hold before anything is solved, and which regions take no part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.transport.structure import Problem

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Connected:
    """Conducting cells by whether electrodes reach them.

    Attributes
    ----------
    reached
        (ny, nx) bool: conducts, and touches an electrode through conducting cells.
    floating_cells
        Number of cells that conduct and touch none: their potential is undefined (NaN).
    floating_regions
        Number of connected patches of those.
    """

    reached: Bools
    floating_cells: int
    floating_regions: int


def check_problem(problem: Problem, *, allow_isolated: bool = False) -> Connected:
    """Find what the electrodes reach, and refuse problems without an answer.

    Raises
    ------
    ArgumentError
        Bad conductivities; no electrode or only one; electrodes that touch each other or no conductor; no conducting
        path between electrodes; all electrodes on one isolated region while most of the map is elsewhere; currents that
        don't add up.
    """
    problem.structure.check()
    electrodes = problem.electrodes
    if not electrodes:
        raise ArgumentError("no electrode: give at least two, for example --electrode top:10-40 --ground right")
    if len(electrodes) == 1:
        raise ArgumentError(
            f"only one electrode ({electrodes[0].label}): current needs a second one to leave by, for example --ground"
            " right"
        )
    _check_drive(problem)
    _check_touching(problem)
    conducts = problem.conducts
    if not conducts.any():
        raise ArgumentError("nothing conducts: all cells are insulators, holes or electrodes")
    from scipy.ndimage import label

    patches, count = label(conducts)
    contacts = problem.contacts()
    touch = np.zeros((count + 1, len(electrodes)), dtype=bool)
    rows, columns, faces = np.nonzero(contacts >= 0)
    touch[patches[rows, columns], contacts[rows, columns, faces]] = True
    for number, electrode in enumerate(electrodes):
        if not touch[:, number].any():
            raise ArgumentError(
                f"electrode {electrode.label} touches no conductor; move it to grains, or give its phase a conductivity"
            )
    _check_path(problem, touch)
    sizes = np.bincount(patches.ravel(), minlength=count + 1)
    sizes[0] = 0
    reached: Bools = np.asarray(touch.any(axis=1), dtype=np.bool_)
    largest = int(sizes.argmax())
    if not (reached[largest] or allow_isolated):
        names = " and ".join(electrode.label for electrode in electrodes)
        raise ArgumentError(
            f"electrodes {names} are on an isolated region of {sizes[reached].sum()} cells; the largest conductor,"
            f" {sizes[largest]} cells, is cut off from them. Move an electrode, or accept it with --allow-isolated"
        )
    floating = ~reached
    floating[0] = False
    cells: Bools = conducts & reached[patches]
    return Connected(cells, int(sizes[floating].sum()), int(floating.sum()))


def _check_drive(problem: Problem) -> None:
    potentials = [e.potential for e in problem.electrodes if e.potential is not None]
    currents = [e.current for e in problem.electrodes if e.current is not None]
    if not potentials and abs(sum(currents)) > 1e-9 * sum(abs(current) for current in currents):
        raise ArgumentError(
            f"currents of all electrodes are given but add up to {sum(currents):g} A, not 0; give one a potential"
        )
    if not any(currents) and (not potentials or max(potentials) == min(potentials)):
        raise ArgumentError("all electrodes have the same potential, so no current flows; set one apart with =VOLTS")


def _check_touching(problem: Problem) -> None:
    """Two metals that touch are a short circuit."""
    cells = problem.of_cell
    pairs = [(cells[:, :-1], cells[:, 1:]), (cells[:-1], cells[1:])]
    pairs += [
        (cells[:, 0], problem.of_edge["left"]),
        (cells[:, -1], problem.of_edge["right"]),
        (cells[0], problem.of_edge["top"]),
        (cells[-1], problem.of_edge["bottom"]),
    ]
    edge = problem.of_edge
    for upright, upright_end in (("left", 0), ("right", -1)):
        for level, level_end in (("top", 0), ("bottom", -1)):
            pairs.append((edge[upright][[level_end]], edge[level][[upright_end]]))
    for first, second in pairs:
        both = (first >= 0) & (second >= 0) & (first != second)
        if both.any():
            place = tuple(index[0] for index in np.nonzero(both))
            names = " and ".join(problem.electrodes[i].label for i in (int(first[place]), int(second[place])))
            raise ArgumentError(f"electrodes {names} touch each other, which is a short circuit; leave a gap")


def _check_path(problem: Problem, touch: Bools) -> None:
    """Every electrode must be connected to every other, through patches and other electrodes."""
    group = np.arange(len(problem.electrodes))
    for on_patch in touch[touch.sum(axis=1) > 1]:
        members = np.unique(group[on_patch])
        group[np.isin(group, members)] = members[0]
    apart = np.flatnonzero(group != group[0])
    if len(apart):
        first, other = problem.electrodes[0].label, problem.electrodes[int(apart[0])].label
        raise ArgumentError(
            f"no conducting path between electrodes {first} and {other}: they are on regions isolated from one another"
        )
