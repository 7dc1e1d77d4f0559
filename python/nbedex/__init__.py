"""nbedex: index 4D-STEM nanobeam diffraction scans of sodium solid electrolytes."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("nbedex")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

del PackageNotFoundError, version
