"""A virtual lamella with known truth: scanned, written as a real 4D file, put through the whole chain, and compared."""

from __future__ import annotations

from nbedex.demo.accuracy import Accuracy, accuracy_of
from nbedex.demo.chain import Chain, commands_of, run_chain, scan_to_folder
from nbedex.demo.columns import Raster
from nbedex.demo.compare import name_grains
from nbedex.demo.lamella import load_lamella
from nbedex.demo.patterns import Camera
from nbedex.demo.scan import DemoScan, ScanSettings, make_scan, simulate_scan
from nbedex.demo.scan_truth import Truth, write_truth
from nbedex.demo.specimen import Region, Specimen
from nbedex.demo.table import Tables, make_tables
from nbedex.demo.truth import true_grains

__all__ = [
    "Accuracy",
    "Camera",
    "Chain",
    "DemoScan",
    "Raster",
    "Region",
    "ScanSettings",
    "Specimen",
    "Tables",
    "Truth",
    "accuracy_of",
    "commands_of",
    "load_lamella",
    "make_scan",
    "make_tables",
    "name_grains",
    "run_chain",
    "scan_to_folder",
    "simulate_scan",
    "true_grains",
    "write_truth",
]
