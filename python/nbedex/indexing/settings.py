"""Options of indexing."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from nbedex.errors import ArgumentError
from nbedex.settings import Settings


class CenterSettings(Settings, frozen=True, kw_only=True):
    """Where the direct beam is.

    Attributes
    ----------
    method
        fit: found in a sample of the scan, then a smooth surface through those (drift and descan, robust
        against single failures). per-pattern: found in every pattern. fixed: at `position`, or the middle.
    finder
        beam: the bright disk. friedel: the centre of symmetry of the whole pattern, for a masked or stopped beam.
        auto: beam, and friedel where that finds none in most patterns.
    position
        Expected (row, column) in pixels; the middle of the detector by default.
    search_radius
        The beam lies within this many pixels of `position`; an eighth of the detector by default.
    beam_radius
        Radius of the direct-beam disk in pixels, roughly.
    order
        Order of the polynomial in scan row and column, 0 to 3.
    samples
        Patterns looked at for the fit.
    """

    method: Literal["fit", "per-pattern", "fixed"] = "fit"
    finder: Literal["auto", "beam", "friedel"] = "auto"
    position: tuple[float, float] | None = None
    search_radius: Annotated[float, Meta(gt=1)] | None = None
    beam_radius: Annotated[float, Meta(ge=0.5, le=200)] = 3.0
    order: Annotated[int, Meta(ge=0, le=3)] = 2
    samples: Annotated[int, Meta(ge=1)] = 1024


class PreprocessSettings(Settings, frozen=True, kw_only=True):
    """From a raw pattern to the polar one that is matched.

    Attributes
    ----------
    k_min
        Inner edge of the annulus used, 1/angstrom: outside the direct beam, inside the first spots.
    k_max
        Outer edge, 1/angstrom; by default that of the library or the detector's nearest edge, whichever is smaller.
    ring_width
        Width of a polar ring, 1/angstrom.
    n_azimuths
        Azimuth bins.
    remove_background
        Take mean + `background_sigma` standard deviations of each ring off it and clip at zero.
    exponent
        Exponent on the intensities. 0.25 suits patterns taken without precession, 0.4 precessed ones.
    disk_radius
        Radius of the spots or disks, detector pixels: they are brought out before patterns are unwrapped
        (`nbedex.indexing.spot_filter`). By default measured on some of the scan's patterns;
        0 leaves patterns as they are.
    hot_pixels
        Leave out isolated pixels that are much brighter than their neighbours, or dead, throughout the scan.
    max_saturated
        A pattern with a larger share of saturated pixels is not indexed.
    min_contrast
        A pattern in which spots stand out less than this is given the status "no spots", and not searched, which
        would take several times as long as where there is a crystal. By default 2.4, unless some of the scan's
        patterns below that are found to be of crystals (`nbedex.indexing.contrast`). 0: search all.
    """

    k_min: Annotated[float, Meta(ge=0)] = 0.07
    k_max: Annotated[float, Meta(gt=0)] | None = None
    ring_width: Annotated[float, Meta(gt=0, le=0.2)] = 0.0125
    n_azimuths: Annotated[int, Meta(ge=36, le=7200)] = 360
    remove_background: bool = True
    background_sigma: Annotated[float, Meta(ge=0, le=10)] = 0.0
    peak_sigma: Annotated[float, Meta(ge=0, le=10)] = 2.75
    exponent: Annotated[float, Meta(gt=0, le=4)] = 0.25
    disk_radius: Annotated[float, Meta(ge=0, le=100)] | None = None
    hot_pixels: bool = True
    max_saturated: Annotated[float, Meta(ge=0, le=1)] = 0.02
    min_contrast: Annotated[float, Meta(ge=0, le=100)] | None = None


class MatchSettings(Settings, frozen=True, kw_only=True):
    """How patterns are compared with templates.

    Attributes
    ----------
    template_exponent
        Exponent on template intensities.
    max_spots
        Spots of a template that the search looks at, the heaviest; refinement then looks at all. 0: all here, too,
        which costs in proportion and finds no more (docs/decisions/search-and-refine.md).
    n_best
        Distinct orientations looked for in each phase, and kept per pixel over all phases.
    distinct_deg
        Orientations of a phase closer than this (disorientation) count as one.
    rival_share
        Orientations, of whatever phase, that have less than this share of the pattern's best score (over what noise
        reaches with the phase, docs/decisions/phase-competition.md) are no rivals: they are not looked for, which is
        much faster. Margins and reliabilities then end at 100 (1 - rival_share) percent, which means "at least"; scores
        of phases that are out of the question are not known. 0 looks for all.
    noise_factor
        A pattern whose best score is below this many times what a pattern without any relation to the templates
        would reach (`nbedex.indexing.noise`) is given the status "no match"; a weighted geometric mean for search
        and refinement. 0 switches the test off. Noise of many kinds reaches 0.5 to 1.1, right answers on patterns of
        very few counts 0.9 and more; 1.25 suits the search alone.
    max_chance
        A pattern is given the status "no match", too, if its peaks, turned about the beam at random, would meet as many
        of the best answer's strongest spots with a probability above this, and most of them stay unexplained, or most
        of the answer's spots are missing (`nbedex.indexing.coincidence`). 1 switches it off.
    exhaustive
        Score every template at every rotation, without pruning. Slower, same result bit for bit: the reference.
    """

    template_exponent: Annotated[float, Meta(gt=0, le=4)] = 0.2
    max_spots: Annotated[int, Meta(ge=0, le=100_000)] = 64
    n_best: Annotated[int, Meta(ge=2, le=50)] = 5
    distinct_deg: Annotated[float, Meta(gt=0, le=60)] = 5.0
    rival_share: Annotated[float, Meta(ge=0, le=0.95)] = 0.7
    noise_factor: Annotated[float, Meta(ge=0, le=10)] = 1.0
    max_chance: Annotated[float, Meta(gt=0, le=1)] = 0.02
    exhaustive: bool = False


class RefineSettings(Settings, frozen=True, kw_only=True):
    """Orientations below the grid of the templates.

    Attributes
    ----------
    enabled
        Refine the candidates of every pattern and rank them anew. Without it the search has the last word.
    excitation_width
        Sigma (1/angstrom) of the Gaussian by which intensities fall with the excitation error; by default 0.35 times
        the library's `max_excitation_error`.
    template_exponent
        Exponent on the intensities of reflections while refining.
    """

    enabled: bool = True
    excitation_width: Annotated[float, Meta(gt=0, le=0.1)] | None = None
    template_exponent: Annotated[float, Meta(gt=0, le=4)] = 0.25


class OverlapSettings(Settings, frozen=True, kw_only=True):
    """Several crystals in one pattern, as where a boundary is inclined to the beam.

    Attributes
    ----------
    max_crystals
        Up to how many are looked for, 1 to 3. Each after the first is searched for in what is left of the pattern,
        which costs as much as the first.
    spot_radius_px
        What lies within this of a spot (detector pixels) belongs to that spot's crystal; also for `max_chance`.
    min_probability
        A further crystal counts from this probability on.
    """

    max_crystals: Annotated[int, Meta(ge=1, le=3)] = 1
    spot_radius_px: Annotated[float, Meta(gt=0, le=100)] = 3.0
    min_probability: Annotated[float, Meta(ge=0, le=1)] = 0.5


class RerankSettings(Settings, frozen=True, kw_only=True):
    """Dynamical re-ranking: candidates compared, and refined, by Bloch waves. For patterns without precession.

    Attributes
    ----------
    mode
        off: never. ambiguous: where the second best candidate scores at least `gate` times the best. all: every pattern
        that is indexed, which refines all orientations and gives the thickness everywhere. Costs 10 to 50 ms a pattern
        and core (docs/decisions/re-ranking.md).
    gate
        See `mode`.
    candidate_share
        Candidates that score less than this share of the best are not tried; so far down they are looked for.
    max_candidates
        At most so many are tried, and at least so many looked for.
    min_thickness_nm, max_thickness_nm, thickness_step_nm
        Thicknesses tried.
    spot_width
        Standard deviation with which spots are read, 1/angstrom; None: what suits `preprocess.disk_radius`, which is
        measured on the scan.
    faintest
        Spots below so many standard deviations of the background's noise are taken for lost in it.
    reach_deg
        Largest tilt away from a candidate.
    step_deg
        Tilts followed are at least so far apart.
    starts
        At most so many tilts of a candidate are followed.
    points
        So many of all candidates' are followed together; with each halving of the step, half as many.
    halvings
        How often the step is halved.
    convincing_score
        Answers refused for meeting peaks by chance (`MatchSettings.max_chance`) are tried, too, and given where Bloch
        waves score at least this; 1: never (docs/decisions/no-phase-fits.md).
    """

    mode: Literal["off", "ambiguous", "all"] = "off"
    gate: Annotated[float, Meta(gt=0, le=1)] = 0.85
    candidate_share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    max_candidates: Annotated[int, Meta(ge=1, le=50)] = 16
    min_thickness_nm: Annotated[float, Meta(ge=1, le=1000)] = 20.0
    max_thickness_nm: Annotated[float, Meta(ge=1, le=1000)] = 200.0
    thickness_step_nm: Annotated[float, Meta(ge=1, le=100)] = 4.0
    spot_width: Annotated[float, Meta(gt=0, le=0.2)] | None = None
    faintest: Annotated[float, Meta(ge=0, le=20)] = 2.0
    reach_deg: Annotated[float, Meta(ge=0, le=5)] = 2.5
    step_deg: Annotated[float, Meta(ge=0.05, le=2)] = 0.2
    starts: Annotated[int, Meta(ge=1, le=50)] = 8
    points: Annotated[int, Meta(ge=1, le=200)] = 12
    halvings: Annotated[int, Meta(ge=1, le=8)] = 4
    convincing_score: Annotated[float, Meta(gt=0, le=1)] = 0.92

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_thickness_nm < self.min_thickness_nm:
            raise ArgumentError(
                f"max_thickness_nm must not be below min_thickness_nm, got {self.max_thickness_nm:g} and"
                f" {self.min_thickness_nm:g}"
            )


class IndexingSettings(Settings, frozen=True, kw_only=True):
    """All options of indexing that are not calibration, library or files."""

    center: CenterSettings = CenterSettings()
    preprocess: PreprocessSettings = PreprocessSettings()
    match: MatchSettings = MatchSettings()
    refine: RefineSettings = RefineSettings()
    overlap: OverlapSettings = OverlapSettings()
    rerank: RerankSettings = RerankSettings()

    def __post_init__(self) -> None:
        super().__post_init__()
        k_min, k_max = self.preprocess.k_min, self.preprocess.k_max
        if k_max is not None and k_max <= k_min:
            raise ArgumentError(f"k_max must exceed k_min, got k_max = {k_max:g}, k_min = {k_min:g} 1/angstrom")

    def without_rerank(self) -> IndexingSettings:
        """The same, by matching alone."""
        return replace(self, rerank=replace(self.rerank, mode="off"))

    @property
    def n_candidates(self) -> int:
        """Distinct orientations looked for in each phase, and kept per pixel."""
        return max(self.match.n_best, self.rerank.max_candidates if self.rerank.mode != "off" else 0)

    @property
    def rival_share(self) -> float:
        """Share of the pattern's best merit below which orientations are not looked for."""
        share = self.match.rival_share
        return share if self.rerank.mode == "off" else min(share, self.rerank.candidate_share)
