"""What made a file: versions of everything that can change a number in it."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = ("numpy", "scipy", "h5py", "gemmi", "orix", "diffsims", "rosettasciio")


def software() -> dict[str, Any]:
    """Versions of nbedex, its compiled core, Python and the packages that results depend on."""
    import nbedex
    from nbedex import _core

    return {
        "nbedex": nbedex.__version__,
        "core": _core.build_info(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
