"""What Bloch waves of grains need, for the frames of `dynamical_frames`."""

from __future__ import annotations

from nbedex.grains.asking import nearby_search
from nbedex.grains.bloch_evidence import BlochEngine
from nbedex.indexing import RerankSettings
from nbedex.indexing.rerank import make_rerank_engine
from nbedex.phases import Phase
from oracles.dynamical_frames import CALIBRATION


def bloch_engine(phase: Phase) -> BlochEngine:
    engine, nearby = (
        make_rerank_engine([phase], CALIBRATION, search, k_min=0.07, k_max=1.1, each_alone=True)
        for search in (RerankSettings(), nearby_search(RerankSettings()))
    )
    return BlochEngine(
        engine=engine, nearby=nearby, mask=None, n_bins=30_000, symmetries=(phase.symmetry_quaternions,),
        k_min=0.07, k_max=1.1,
    )  # fmt: skip
