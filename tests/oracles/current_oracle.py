"""Exact currents, and a slow network written out from the published formula."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, ellipkm1, expit

from nbedex.transport import Problem, Structure, edge_problem, simple_structure

Floats = NDArray[np.float64]


def in_plane_tensor(degrees: float, anisotropy: float = 1e3) -> Floats:
    """Of a crystal whose planes stand on edge, their trace at an angle to X; 1 along it."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    low = 1 / anisotropy
    return np.array([[c * c + low * s * s, (1 - low) * c * s], [(1 - low) * c * s, s * s + low * c * c]])


def edge_on(degrees: float) -> list[float]:
    """Normal of planes that stand on edge with their trace at an angle to X."""
    return [-float(np.sin(np.radians(degrees))), float(np.cos(np.radians(degrees))), 0.0]


def rectangle_conductance(tensor: Floats, width: float = 1.0, height: float = 1.0) -> float:
    """Exact conductance of a homogeneous anisotropic rectangle between electrodes on its left and right edges.

    A linear map makes the medium isotropic and the rectangle a parallelogram. The half plane maps onto that with
    corners at 0, m, 1 and infinity (Schwarz-Christoffel), the ratio of its sides being F(1 - m) / F(m) with
    F(m) = 2F1(a, 1 - a; 1; m), a pi the angle at a corner; and onto a rectangle with ratio K(1 - m) / K(m), which is
    the resistance.
    """
    root = np.sqrt(np.linalg.det(tensor))
    metric = root * np.linalg.inv(tensor)
    along, up = width * np.sqrt(metric[0, 0]), height * np.sqrt(metric[1, 1])
    a = np.arccos(metric[0, 1] / np.sqrt(metric[0, 0] * metric[1, 1])) / np.pi

    def side_ratio(x: float) -> float:
        return float(np.log(_hypergeometric(a, -x) / _hypergeometric(a, x)) - np.log(along / up))

    x = brentq(side_ratio, -300, 300, xtol=1e-13)
    return float(root * ellipkm1(expit(-x)) / ellipkm1(expit(x)))


def _hypergeometric(a: float, x: float) -> float:
    """2F1(a, 1 - a; 1; m) with m = 1 / (1 + exp(-x)): Abramowitz & Stegun 15.1.1, and 15.3.10 beyond m = 1/2."""
    m, rest = expit(x), expit(-x)
    total, term = 0.0, 1.0
    for n in range(80):
        if m <= 0.5:
            total += term
        else:
            total += term * (2 * digamma(n + 1) - digamma(a + n) - digamma(1 - a + n) - np.log(rest))
        term *= (a + n) * (1 - a + n) / (n + 1) ** 2 * min(m, rest)
    return float(total if m <= 0.5 else total * np.sin(np.pi * a) / np.pi)


def crystal(degrees: float, shape: tuple[int, int], anisotropy: float = 1e3, size: float = 1.0) -> Structure:
    """One crystal, planes on edge."""
    return simple_structure(
        np.zeros(shape, dtype=int),
        step=(size, size),
        normal=[edge_on(degrees)],
        in_plane=[1.0],
        out_of_plane=[1 / anisotropy],
    )


def left_and_bottom(structure: Structure, left: float = 1.0, bottom: float = 0.0) -> Problem:
    """Electrodes on the upper two thirds of the left edge and on the bottom edge, so that they don't touch."""
    problem = edge_problem(structure, left=left, bottom=bottom)
    problem.of_edge["left"][-(-2 * structure.shape[0] // 3) :] = -1
    return problem


def grains(shape: tuple[int, int], count: int, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Labels of Voronoi cells, and random normals."""
    rng = np.random.default_rng(seed)
    seeds = rng.random((count, 2)) * shape
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    distance = (y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2
    normal = rng.standard_normal((count, 3))
    return distance.argmin(axis=-1), normal / np.linalg.norm(normal, axis=1, keepdims=True)


def dense_published_network(
    labels: NDArray[np.int64],
    alpha_deg: Floats,
    theta_deg: Floats,
    electrode: dict[tuple[int, int], float],
    *,
    step_nm: float,
    in_plane: float = 1.0,
    anisotropy: float = 1e3,
    boundary_ratio: float = 20.0,
    width_nm: float = 1.0,
    outside: dict[tuple[tuple[int, int], str], float] | None = None,
) -> tuple[Floats, float]:
    """Ding2024 eq. 4-1 and the network of links, one by one, solved densely. Labels of -1 block.

    `electrode` gives potentials of cells that are metal, `outside` of metal beyond an edge of the map. Returns the
    potentials of cells and the current per thickness (A/m) that leaves metal at the highest potential.
    """
    sigma_ip, sigma_op = in_plane, in_plane / anisotropy

    def sigma(label: int, direction: str) -> float:
        a, t = np.radians(alpha_deg[label]), np.radians(theta_deg[label])
        if direction == "x":
            return sigma_op * abs(np.sin(a)) * abs(np.sin(t)) + sigma_ip * (
                abs(np.cos(t)) + abs(np.cos(a)) * abs(np.sin(t))
            )
        return sigma_ip * (abs(np.sin(t)) + abs(np.cos(a)) * abs(np.cos(t))) + sigma_op * abs(np.sin(a)) * abs(
            np.cos(t)
        )

    ny, nx = labels.shape
    length, area = step_nm * 1e-9, step_nm * 1e-9  # area per thickness
    n = ny * nx
    matrix, rhs = np.zeros((n, n)), np.zeros(n)
    top = max([*electrode.values(), *(outside or {}).values()])
    leaving: list[tuple[float, int, float]] = []
    for y in range(ny):
        for x in range(nx):
            i = y * nx + x
            if (y, x) in electrode or labels[y, x] < 0:
                matrix[i, i], rhs[i] = 1.0, electrode.get((y, x), np.nan if labels[y, x] < 0 else 0.0)
                continue
            for name, (dy, dx) in {"left": (0, -1), "right": (0, 1), "top": (-1, 0), "bottom": (1, 0)}.items():
                direction = "x" if dx else "y"
                half = length / (2 * sigma(int(labels[y, x]), direction) * area)
                v, u = y + dy, x + dx
                if not (0 <= v < ny and 0 <= u < nx):
                    if ((y, x), name) in (outside or {}):
                        potential = (outside or {})[((y, x), name)]
                        matrix[i, i] += 1 / half
                        rhs[i] += potential / half
                        leaving.append((potential, i, 1 / half))
                    continue
                if (v, u) in electrode:
                    matrix[i, i] += 1 / half
                    rhs[i] += electrode[v, u] / half
                    leaving.append((electrode[v, u], i, 1 / half))
                    continue
                if labels[v, u] < 0:
                    continue
                other = length / (2 * sigma(int(labels[v, u]), direction) * area)
                gap = width_nm * 1e-9 / (in_plane / boundary_ratio * area) if labels[v, u] != labels[y, x] else 0.0
                link = 1 / (half + other + gap)
                matrix[i, i] += link
                matrix[i, v * nx + u] -= link
    known = np.isfinite(rhs)
    potential = np.full(n, np.nan)
    potential[known] = np.linalg.solve(matrix[np.ix_(known, known)], rhs[known])
    current = sum(g * (p - potential[i]) for p, i, g in leaving if p == top)
    return potential.reshape(ny, nx), float(current)
