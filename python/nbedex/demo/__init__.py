"""Specimens with known truth: a small polycrystal, written as a real 4D file and compared; the virtual lamella."""

from __future__ import annotations

from nbedex.demo.compare import Comparison, compare
from nbedex.demo.lamella import load_lamella
from nbedex.demo.scene import PHASES, DemoScan, make_scan, write_hspy
from nbedex.demo.specimen import Region, Specimen
from nbedex.demo.truth import true_grains

__all__ = [
    "PHASES",
    "Comparison",
    "DemoScan",
    "Region",
    "Specimen",
    "compare",
    "load_lamella",
    "make_scan",
    "true_grains",
    "write_hspy",
]
