"""Opening 4D-STEM files lazily; the only home of readers."""

from __future__ import annotations

from nbedex.scan.describe import describe
from nbedex.scan.metadata import ScanMetadata
from nbedex.scan.opening import open_scan
from nbedex.scan.scan import Scan, memory_scan

__all__ = ["Scan", "ScanMetadata", "describe", "memory_scan", "open_scan"]
