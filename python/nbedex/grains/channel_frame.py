"""The crystal frame of Channel text files (.ctf): X || a*, Y || b, Z = X x Y.

MTEX reads them so (loadEBSD_ctf), and it shows in data: in a map of magnesium (twins.ctf) nearly half of the boundary
length is the known {10-12} twin, 86 degrees about a, with this frame, and none of it with X || a. For cubic, tetragonal
and orthorhombic cells it is the same as ours. Files written by nbedex are in our frame.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from nbedex.grains.model import Floats, MapPhase, OrientationMap
from nbedex.maps import canonical, multiply
from nbedex.phases.rotations import nearest_rotations, quaternions

_THIRTY = np.array([np.cos(np.pi / 12), 0.0, 0.0, np.sin(np.pi / 12)])
_HEXAGONAL = ("-3", "-3m", "6/m", "6/mmm")


def ctf_is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether a .ctf file says that nbedex wrote it."""
    with open(path, encoding="latin-1") as stream:
        head = [stream.readline() for _ in range(4)]
    return any(line.split() == ["Author", "nbedex"] for line in head)


def from_channel_frame(source: OrientationMap) -> OrientationMap:
    """The map with orientations that referred to X || a*, Y || b turned into our crystal frame."""
    orientation = source.orientation.copy()
    for number, phase in enumerate(source.phases):
        mine = source.phase_id == number
        if mine.any():
            orientation[mine] = canonical(multiply(channel_to_ours(phase), orientation[mine]))
    return replace(source, orientation=orientation)


def channel_to_ours(phase: MapPhase) -> Floats:
    """Rotation (4,) that takes components in the frame of Channel files to those in ours.

    From the cell; without one, hexagonal axes are taken for the trigonal and hexagonal classes and right angles for all
    others.
    """
    if phase.direct_basis is None:
        return _THIRTY if phase.laue_class in _HEXAGONAL else np.array([1.0, 0.0, 0.0, 0.0])
    reciprocal = np.linalg.inv(phase.direct_basis).T  # rows a*, b*, c*
    x, y = (v / np.linalg.norm(v) for v in (reciprocal[0], phase.direct_basis[1]))
    axes = np.stack([x, y, np.cross(x, y)], axis=-1)  # columns: Channel's axes in our frame
    return np.asarray(canonical(quaternions(nearest_rotations(axes[None]))[0]))
