"""Scale, ellipse and centre from the rings of a known phase.

The whole pattern is fitted, not single peaks, since neighbouring rings overlap (111 and 200 of gold on most cameras):
in polar bins of the detector as it is, intensity = smooth background of each sector + sum over rings of
a_j V((r(k) - r_j) / s), with k = pixel_size |E^-1 (x - x0)| as in `nbedex.calibration` and V a
pseudo-Voigt profile. Backgrounds and ring
brightnesses a_j are linear and eliminated (variable projection, Golub & Pereyra, SIAM J. Numer. Anal. 10, 413 (1973));
what is left are scale, ellipse, centre and the rings' width. Rings that overlap too much to be told apart are held
together by a weak prior: brightness as in kinematical theory, within half of itself. Brightness may vary twofold along
a ring, as texture makes it: on overlapping rings that looks like an ellipse otherwise.

Bins that do not fit, such as those of a single bright grain, lose weight. Uncertainties are from leaving out pairs of
opposite sectors (jackknife), so that texture counts, not from the noise of pixels alone; that of the scale also has
the scatter of the rings' own radii about the common scale, which is larger (background, asymmetric profiles).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.geometry import DetectorFit, distortion
from nbedex.calibrating.polar import PolarBins
from nbedex.calibrating.powder import Rings

Array = NDArray[np.float64]

_PRIOR = 0.5  # relative standard deviation of brightnesses about the kinematical ones
_TEXTURE = 0.5  # standard deviation of their twofold variation along the rings
_KNOT_SPACING = 20.0  # pixels, of the background; rings are narrower
_SAME_FWHM = 2 * np.log(2)  # half width squared of a Gaussian of unit standard deviation
_PASSES = 3  # of robust weights
_OUTLIER = 3.0  # standard deviations beyond which a bin loses weight


@dataclass(frozen=True, eq=False, kw_only=True)
class RingFit:
    """What the rings say.

    Attributes
    ----------
    detector
        Scale and ellipse.
    center, center_uncertainty : (2,) float64
        Row and column of the rings' common middle, pixels.
    rings
        Rings within the annulus that was fitted.
    brightness, signal : (n,) float64
        Brightness of each ring, and that in standard deviations.
    deviation, deviation_uncertainty : (n,) float64
        Radius of each ring on its own over the one of the phase, minus one; NaN where a ring is too weak to say.
    width : float
        Standard deviation of a ring's profile at the inner edge of the annulus, pixels.
    explained
        Share of the light above the background that the rings explain, 0 to 1.
    bins, ring_model, background
        What was fitted: the bins, the rings' part and the background (sectors, radii).
    """

    detector: DetectorFit
    center: Array
    center_uncertainty: Array
    rings: Rings
    brightness: Array
    signal: Array
    deviation: Array
    deviation_uncertainty: Array
    width: float
    explained: float
    bins: PolarBins
    ring_model: Array
    background: Array


@dataclass(frozen=True, eq=False)
class RingProblem:
    """Bins with their weights, and what the background can't explain of them.

    Parameters of the fit: log of the pixel size, p, q (see `geometry`), column and row of the middle relative to that
    of the bins in pixels, log of the rings' width in pixels, growth of the width with the radius, Lorentzian share of
    the rings' profile.
    """

    bins: PolarBins
    weight: Array
    basis: Array  # (sectors, radii, splines): orthonormal columns of the weighted background, by sector
    data: Array  # (sectors, radii): weighted intensities without what the background explains

    @classmethod
    def of(cls, bins: PolarBins, weight: Array) -> RingProblem:
        splines = _splines(bins)
        basis, _ = np.linalg.qr(weight[..., None] * splines)
        problem = cls(bins, weight, basis, np.empty(0))
        return replace(problem, data=problem.without_background(weight * bins.intensity))

    def without_background(self, values: Array) -> Array:
        """Weighted values (sectors, radii, ...) less their projection on the background."""
        flat = values.reshape(*values.shape[:2], -1)
        flat = flat - self.basis @ (np.swapaxes(self.basis, 1, 2) @ flat)
        return np.asarray(flat.reshape(values.shape))

    def scattering(self, x: Array) -> Array:
        """Scattering vector (sectors, radii) of every bin, 1/angstrom."""
        inverse = np.linalg.inv(distortion(x[1], x[2]))
        place = np.stack([self.bins.column - x[3], self.bins.row - x[4]])
        column, row = np.tensordot(inverse, place, axes=1)
        return np.asarray(np.exp(x[0]) * np.hypot(column, row))

    def profiles(self, x: Array, rings: Rings) -> Array:
        """Each ring (sectors, radii, rings), with its kinematical brightness."""
        scale = np.exp(x[0])
        r = self.scattering(x)[..., None] / scale
        center = rings.radius / scale
        width = np.exp(x[5]) + x[6] * center
        square = ((r - center) / width) ** 2
        return np.asarray(rings.brightness * ((1 - x[7]) * np.exp(-0.5 * square) + x[7] / (1 + square / _SAME_FWHM)))

    def columns(self, x: Array, rings: Rings) -> Array:
        """Weighted profiles without background (bins, 3 rings): even, then times cos and sin of 2 azimuth."""
        even = self.weight[..., None] * self.profiles(x, rings)
        azimuth = np.arctan2(self.bins.row, self.bins.column)[..., None]
        weighted = np.concatenate([even, even * np.cos(2 * azimuth), even * np.sin(2 * azimuth)], axis=-1)
        return self.without_background(weighted).reshape(-1, 3 * len(rings))

    def residual(self, x: Array, rings: Rings) -> Array:
        """Data minus best brightnesses; the prior's residuals come behind."""
        columns, data = self.columns(x, rings), self.data.ravel()
        design, target = _with_prior(columns, data)
        return np.asarray(target - design @ _best(design, target))

    def likeness(self, x: Array, rings: Rings) -> float:
        """Correlation of the data with rings of kinematical brightness, -1 to 1, after averaging over azimuth."""
        weighted = self.weight[..., None] * self.profiles(x, rings).sum(axis=-1, keepdims=True)
        columns = self.without_background(weighted)[..., 0]
        model, data = columns.mean(axis=0), self.data.mean(axis=0)
        norm = np.linalg.norm(model) * np.linalg.norm(data)
        return float(model @ data / norm) if norm > 0 else 0.0


def fit_rings(bins: PolarBins, rings: Rings, start: Array, *, fit_center: bool = True) -> RingFit:
    """Fit rings to a binned pattern.

    Parameters
    ----------
    bins
        The pattern.
    rings
        Rings of the phase, beyond the outer edge of the bins too.
    start : (8,) float64
        See `RingProblem`; the scale within about 2 %.
    fit_center
        Whether the middle is fitted, or stays.
    """
    weight = noise_weight(bins)
    free = np.arange(8) if fit_center else np.array([0, 1, 2, 5, 6, 7])
    x = start.copy()
    problem = RingProblem.of(bins, weight)
    seen = rings
    for _ in range(_PASSES):
        seen = rings_within(rings, bins, float(np.exp(x[0])))
        problem = RingProblem.of(bins, weight)
        x, jacobian, residual = _minimise(problem, seen, x, free)
        bad = (residual[: weight.size] / _spread(residual[: weight.size], weight)).reshape(weight.shape)
        weight = weight / np.sqrt(1 + (bad / _OUTLIER) ** 2)
    covariance = np.zeros((8, 8))
    covariance[np.ix_(free, free)] = _jackknife(jacobian, residual, bins.intensity.shape)
    return _report(problem, seen, x, covariance)


def scatter_of_scale(deviation: Array, uncertainty: Array) -> float:
    """Relative uncertainty of the scale from rings that do not agree about it; NaN with fewer than two rings."""
    known = np.isfinite(deviation)
    if np.count_nonzero(known) < 2:
        return float("nan")
    value = deviation[known]
    # rings known much better than they agree count alike
    weight = 1 / (uncertainty[known] ** 2 + np.median(np.abs(value - np.median(value))) ** 2 + 1e-12)
    mean = np.sum(weight * value) / np.sum(weight)
    variance = np.sum(weight * (value - mean) ** 2) / np.sum(weight)
    return float(np.sqrt(variance / (np.count_nonzero(known) - 1)))


def rings_within(rings: Rings, bins: PolarBins, pixel_size: float) -> Rings:
    """Those of the rings that reach into the bins."""
    r = bins.radius[bins.pixels > 0]
    margin = 10.0  # pixels; rings outside may lean in
    keep = (rings.radius > pixel_size * (r.min() - margin)) & (rings.radius < pixel_size * (r.max() + margin))
    return Rings(rings.radius[keep], rings.brightness[keep], rings.hkl[keep])


def noise_weight(bins: PolarBins) -> Array:
    """One over the standard deviation of each bin up to a common factor, as counting statistics has it."""
    positive = bins.intensity[(bins.pixels > 0) & (bins.intensity > 0)]
    floor = 0.05 * float(np.median(positive)) if positive.size else 1.0
    return np.sqrt(bins.pixels / np.maximum(bins.intensity, floor))


def _splines(bins: PolarBins) -> Array:
    """Cubic B-splines (sectors, radii, splines) in the radius, closer together near the middle."""
    from scipy.interpolate import BSpline

    r = np.where(bins.pixels > 0, bins.radius, np.nan)
    low, high = float(np.nanmin(r)), float(np.nanmax(r))
    intervals = int(np.clip(round((high - low) / _KNOT_SPACING), 2, 12))
    knots = low + (high - low) * np.linspace(0, 1, intervals + 1) ** 1.4
    knots = np.r_[[low] * 4, knots[1:-1], [high] * 4]
    flat = np.where(np.isfinite(r), r, low).ravel()
    design = BSpline.design_matrix(np.clip(flat, low, high), knots, 3).toarray()
    return np.asarray(design.reshape(*r.shape, -1))


def _with_prior(columns: Array, data: Array) -> tuple[Array, Array]:
    """Least-squares problem with the brightnesses drawn towards the kinematical ones."""
    n = columns.shape[1] // 3
    overall = columns[:, :n].sum(axis=1)
    common = float(overall @ data / max(overall @ overall, 1e-300))
    noise = float(np.sqrt(np.mean((data - common * overall) ** 2)))
    if not common > 0 or not noise > 0:
        return columns, data
    strength = noise / (common * np.repeat([_PRIOR, _TEXTURE, _TEXTURE], n))
    wanted = np.r_[np.full(n, common), np.zeros(2 * n)]
    return np.vstack([columns, np.diag(strength)]), np.r_[data, strength * wanted]


def _best(design: Array, target: Array) -> Array:
    """Least-squares solution; by normal equations, which the prior keeps well-conditioned, with scaled columns."""
    size = np.maximum(np.linalg.norm(design, axis=0), 1e-300)
    scaled = design / size
    normal = scaled.T @ scaled + 1e-12 * np.eye(len(size))
    return np.asarray(np.linalg.solve(normal, scaled.T @ target) / size)


def _minimise(problem: RingProblem, rings: Rings, x: Array, free: NDArray[np.intp]) -> tuple[Array, Array, Array]:
    """Best parameters, and Jacobian and residual there."""
    from scipy.optimize import least_squares

    def full(values: Array) -> Array:
        everything = x.copy()
        everything[free] = values
        return everything

    limits = np.array([0.1, 0.2, 0.2, 15.0, 15.0, 2.0, 1.0, 1.0])
    lower, upper = (x - limits)[free], (x + limits)[free]
    lower[-3:], upper[-3:] = (np.log(0.4), 0.0, 0.0), (np.log(15.0), 0.15, 1.0)
    inside = np.clip(x[free], lower + 1e-6, upper - 1e-6)
    scales = np.array([0.01, 0.01, 0.01, 1.0, 1.0, 0.3, 0.02, 0.3])[free]

    def residual(values: Array) -> Array:
        # brightnesses of rings and their prior: always as many rows
        found = problem.residual(full(values), rings)
        return np.pad(found, (0, problem.data.size + 3 * len(rings) - found.size))

    done = least_squares(residual, inside, bounds=(lower, upper), x_scale=scales, diff_step=1e-5, max_nfev=40)
    return full(done.x), np.asarray(done.jac), np.asarray(done.fun)


def _spread(residual: Array, weight: Array) -> float:
    """Robust standard deviation of the bins that count."""
    used = residual[weight.ravel() > 0]
    return float(max(1.4826 * np.median(np.abs(used)), 1e-12 * np.abs(used).max(), 1e-300))


def _jackknife(jacobian: Array, residual: Array, shape: tuple[int, ...], *, groups: int = 9) -> Array:
    """Covariance of the parameters from leaving out pairs of opposite wedges, one Gauss-Newton step each.

    Opposite wedges go together since Friedel's law makes them alike.
    """
    sectors, radii = shape
    wedge = (np.arange(sectors) * 2 * groups // sectors) % groups
    group = np.r_[np.repeat(wedge, radii), np.full(len(residual) - sectors * radii, -1)]
    normal = jacobian.T @ jacobian
    steps = []
    for number in range(groups):
        mine = group == number
        part, rest = jacobian[mine], residual[mine]
        steps.append(np.linalg.lstsq(normal - part.T @ part, part.T @ rest, rcond=None)[0])
    moved = np.array(steps) - np.mean(steps, axis=0)
    freedom = max(np.count_nonzero(residual) - jacobian.shape[1], 1)
    white = np.linalg.pinv(normal) * float(residual @ residual) / freedom
    return np.asarray((groups - 1) / groups * moved.T @ moved + white)


def _report(problem: RingProblem, rings: Rings, x: Array, covariance: Array) -> RingFit:
    bins = problem.bins
    columns, data = problem.columns(x, rings), problem.data.ravel()
    design, target = _with_prior(columns, data)
    height = _best(design, target)
    left = data - columns @ height
    noise = _spread(left, problem.weight)
    deviations = _own_radii(problem, rings, x, height, noise)
    scatter = scatter_of_scale(*deviations)
    covariance = covariance.copy()
    covariance[0, 0] += scatter**2 if np.isfinite(scatter) else 0.0
    n = len(rings)
    turn = 2 * np.arctan2(bins.row, bins.column)[..., None]
    along = height[:n] + height[n : 2 * n] * np.cos(turn) + height[2 * n :] * np.sin(turn)
    model = np.sum(problem.profiles(x, rings) * along, axis=-1)
    weighted = problem.weight * (bins.intensity - model)
    background = np.einsum("sri,si->sr", problem.basis, np.einsum("sri,sr->si", problem.basis, weighted))
    with np.errstate(divide="ignore", invalid="ignore"):
        background = np.where(problem.weight > 0, background / problem.weight, np.nan)
    profile, rest = problem.data.mean(axis=0), left.reshape(problem.data.shape).mean(axis=0)
    total = float(profile @ profile)
    alone = np.linalg.norm(columns[:, :n], axis=0)
    inner = float(bins.radius[bins.pixels > 0].min())
    return RingFit(
        detector=DetectorFit(
            log_pixel_size=float(x[0]), p=float(x[1]), q=float(x[2]), covariance=covariance[:3, :3].copy()
        ),
        center=bins.center + np.array([x[4], x[3]]),
        center_uncertainty=np.sqrt(np.diag(covariance)[[4, 3]]),
        rings=rings,
        brightness=height[:n] * rings.brightness,
        signal=height[:n] * alone / noise,
        deviation=deviations[0],
        deviation_uncertainty=deviations[1],
        width=float(np.exp(x[5]) + x[6] * inner),
        explained=max(0.0, 1.0 - float(rest @ rest) / total) if total > 0 else 0.0,
        bins=bins,
        ring_model=model,
        background=background,
    )


def _own_radii(problem: RingProblem, rings: Rings, x: Array, height: Array, noise: float) -> tuple[Array, Array]:
    """Each ring's radius on its own, relative to the phase's, with uncertainty; NaN where it is not seen.

    By the derivative of its profile, with all brightnesses free; for rings that overlap this says little.
    """
    step = 1e-4
    moved = Rings(rings.radius * (1 + step), rings.brightness, rings.hkl)
    n = len(rings)
    columns = problem.columns(x, rings)
    slope = (problem.columns(x, moved) - columns)[:, :n] / step * height[:n]
    design = np.hstack([columns, slope])
    size = np.linalg.norm(design, axis=0)
    usable = size > 1e-6 * size.max()
    scaled = design[:, usable] / size[usable]
    normal = scaled.T @ scaled + 1e-9 * np.eye(int(usable.sum()))
    inverse = np.linalg.inv(normal)
    value = np.full(len(size), np.nan)
    spread = np.full(len(size), np.nan)
    value[usable] = (inverse @ (scaled.T @ problem.data.ravel())) / size[usable]
    spread[usable] = noise * np.sqrt(np.diag(inverse)) / size[usable]
    seen = (height[:n] > 0) & (spread[3 * n :] < 0.01)
    return np.where(seen, value[3 * n :], np.nan), np.where(seen, spread[3 * n :], np.nan)
