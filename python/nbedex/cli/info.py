"""nbedex info: what is understood of a scan, a library or a result."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nbedex.cli.output import progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command, shape
from nbedex.errors import ArgumentError


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "info",
        run,
        help="what is understood of a scan, a template library or a result",
        examples=["nbedex info scan.blo", "nbedex info data.h5 --dataset /entry/data", "nbedex info map.h5 --json"],
    )
    parser.add_argument("file", help="4D-STEM file, library or result")
    parser.add_argument("--dataset", help="path of the dataset in an HDF5 file that holds several")
    parser.add_argument(
        "--scan-shape", type=shape, metavar="ROWS,COLUMNS", help="for files that don't say how patterns were scanned"
    )


def run(args: argparse.Namespace) -> int:
    facts = _facts(args)
    if args.json:
        show_json(facts)
    else:
        show_pairs([(key, value) for key, value in _flat(facts)])
    return 0


def _facts(args: argparse.Namespace) -> dict[str, Any]:
    from nbedex.scan import describe, open_scan

    if not Path(args.file).exists():
        raise ArgumentError(f"no file at {args.file}")
    kind = _own_format(args.file)
    if kind == "nbedex-result":
        from nbedex.maps import ResultReader, summary_of_file

        with ResultReader(args.file) as result, progress_bar(quiet=args.quiet or args.json) as progress:
            result.check(progress)
            provenance = result.provenance
        return {"kind": "result", **summary_of_file(args.file), "provenance": provenance}
    if kind == "nbedex-library":
        from nbedex.cli.library import facts
        from nbedex.library import load_library

        return {"kind": "library", **facts(load_library(args.file))}
    with open_scan(args.file, dataset=args.dataset, scan_shape=args.scan_shape) as scan:
        return {"kind": "scan", **describe(scan)}


def _own_format(path: str) -> str:
    """The format attribute of an HDF5 file that nbedex wrote, or ''."""
    import h5py

    try:
        if not Path(path).is_file() or not h5py.is_hdf5(path):
            return ""
        with h5py.File(path, "r") as file:
            name = file.attrs.get("format", "")
            return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    except (OSError, RuntimeError):
        return ""


def _flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            pairs += _flat(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(v, str) for v in value):
            pairs += [(name, item) for item in value]
        else:
            pairs.append((name, "–" if value is None or value in ({}, [], ()) else value))
    return pairs
