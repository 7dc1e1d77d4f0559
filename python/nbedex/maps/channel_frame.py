"""The crystal frame of Channel text files (.ctf): X || a*, Y || b, Z = X x Y.

MTEX reads them so (loadEBSD_ctf), and it shows in data: in a map of magnesium (twins.ctf) nearly half of the boundary
length is the known {10-12} twin, 86 degrees about a, with this frame, and none of it with X || a. For cubic, tetragonal
and orthorhombic cells it is the same as ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.orientation import canonical
from nbedex.phases.rotations import nearest_rotations, quaternions

Floats = NDArray[np.float64]

_THIRTY = np.array([np.cos(np.pi / 12), 0.0, 0.0, np.sin(np.pi / 12)])
_HEXAGONAL = ("-3", "-3m", "6/m", "6/mmm")


def channel_to_ours(direct_basis: Floats | None, laue_class: str) -> Floats:
    """Rotation (4,) that takes components in the frame of Channel files to those in ours.

    Parameters
    ----------
    direct_basis
        (3, 3), rows a, b, c in our crystal frame. Without one, hexagonal axes are taken for the trigonal and hexagonal
        classes and right angles for all others.
    laue_class
        Of the phase.
    """
    if direct_basis is None:
        return _THIRTY if laue_class in _HEXAGONAL else np.array([1.0, 0.0, 0.0, 0.0])
    reciprocal = np.linalg.inv(direct_basis).T  # rows a*, b*, c*
    x, y = (v / np.linalg.norm(v) for v in (reciprocal[0], direct_basis[1]))
    axes = np.stack([x, y, np.cross(x, y)], axis=-1)  # columns: Channel's axes in our frame
    return np.asarray(canonical(quaternions(nearest_rotations(axes[None]))[0]))
