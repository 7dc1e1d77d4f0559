"""A result made better by what the patterns of each grain show together: read, pool, write."""

from __future__ import annotations

import hashlib
import os

import msgspec

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.files import check_output
from nbedex.grains.asking import nearby_search
from nbedex.grains.bloch_evidence import BlochEngine
from nbedex.grains.pooling import Pooled, PoolingSettings, pool_patterns
from nbedex.indexing.engine import Engine
from nbedex.indexing.prepare import prepare
from nbedex.indexing.rerank import RerankEngine, make_crystals, rerank_options
from nbedex.indexing.settings import IndexingSettings, RerankSettings
from nbedex.library import TemplateLibrary
from nbedex.maps import read_result, write_result
from nbedex.progress import Progress, silent
from nbedex.provenance import software
from nbedex.settings import settings_from_dict
from nbedex.workflow import RunSettings
from nbedex.workflow.inputs import gather, opened


def pool(
    result_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    scan: str | os.PathLike[str] | None = None,
    pooling: PoolingSettings | None = None,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> Pooled:
    """Index the mean pattern of every grain of a result and write the map with the grains' answers.

    Parameters
    ----------
    result_path
        Result of `run`, which says how it was made.
    output
        Result file to write.
    scan
        Where the scan is now; by default where it was.
    pooling
        Options; None for the defaults.
    overwrite
        Whether `output` may be replaced.
    threads
        0: all available.
    progress
        See `nbedex.progress`.

    Raises
    ------
    ArgumentError
        The result does not say how it was made, or is of another scan.
    """
    result = read_result(result_path)
    with open(result_path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    made = result.provenance.get("run")
    if not isinstance(made, dict):
        raise ArgumentError(
            f"{os.fspath(result_path)} does not say how it was made; index the scan with `nbedex index`"
        )
    check_output(output, overwrite=overwrite)
    settings = settings_from_dict(RunSettings, made, where=os.fspath(result_path))
    # Pooling averages itself, within grains.
    where = msgspec.structs.replace(
        settings.scan, average=0, path=settings.scan.path if scan is None else os.fspath(scan)
    )
    as_indexed = msgspec.structs.replace(settings.calibration, fine_tune=False)
    settings = msgspec.structs.replace(settings, scan=where, calibration=as_indexed)
    options = pooling or PoolingSettings()
    with opened(settings.scan) as data:
        inputs = gather(settings, data, progress=progress)
        waves = wants_bloch_waves(options, inputs.library)
        engine, _ = prepare(
            data,
            inputs.library,
            inputs.calibration,
            settings=for_means(inputs.settings, waves=waves),
            mask=inputs.mask,
            threads=threads,
            progress=progress,
        )
        bloch = bloch_engine(engine, inputs.library, inputs.calibration, inputs.settings.rerank) if waves else None
        found = pool_patterns(data, result, engine, settings=options, bloch=bloch, threads=threads, progress=progress)
    found.result.provenance["pooling"] |= {
        "settings": found.settings.to_dict(),
        "result": {"file": os.path.basename(result_path), "sha256": digest},
        "software": software(),
    }
    write_result(output, found.result, overwrite=overwrite)
    return found


def wants_bloch_waves(options: PoolingSettings, library: TemplateLibrary) -> bool:
    """Whether grains' candidates are compared by Bloch waves.

    Raises
    ------
    ArgumentError
        They must be, but the library is for precessed patterns.
    """
    precessed = library.settings.precession_deg > 0
    if precessed and options.rerank == "on":
        raise ArgumentError(
            "Bloch waves are simulated without precession, but the scan was taken with"
            f" {library.settings.precession_deg:g} degrees of it; leave --rerank out"
        )
    return not precessed and options.rerank != "off"


def for_means(settings: IndexingSettings, *, waves: bool) -> IndexingSettings:
    """Options of indexing mean patterns: never re-ranked like pixels, and with candidates enough for Bloch waves.

    All are searched: contrast of noise is known of patterns whose spots were brought out, which means mostly are not.
    """
    n_best = max(settings.match.n_best, settings.rerank.max_candidates if waves else 0)
    return msgspec.structs.replace(
        settings.without_rerank(),
        preprocess=msgspec.structs.replace(settings.preprocess, min_contrast=0.0),
        match=msgspec.structs.replace(settings.match, n_best=n_best),
    )


def bloch_engine(
    engine: Engine, library: TemplateLibrary, calibration: Calibration, settings: RerankSettings
) -> BlochEngine:
    """Crystals made ready, about half a second for each."""
    grid = engine.grid
    crystals = make_crystals(library.phases, calibration, k_max=grid.k_max)

    def looking(search: RerankSettings) -> RerankEngine:
        options = rerank_options(
            calibration,
            search,
            k_min=grid.k_min,
            k_max=grid.k_max,
            disk_radius=engine.settings.preprocess.disk_radius,
            each_alone=True,
        )
        return RerankEngine(crystals, options, search)

    return BlochEngine(
        engine=looking(settings),
        nearby=looking(nearby_search(settings)),
        mask=engine.mask,
        n_bins=grid.n_rings * grid.n_azimuths,
        symmetries=engine.symmetries,
        k_min=grid.k_min,
        k_max=grid.k_max,
    )
