"""A small polycrystal with known truth: made, written as a real 4D file, indexed as a user would, and compared."""

from __future__ import annotations

from nbedex.demo.compare import Comparison, compare
from nbedex.demo.scene import PHASES, DemoScan, make_scan, write_hspy

__all__ = ["PHASES", "Comparison", "DemoScan", "compare", "make_scan", "write_hspy"]
