"""Boundaries in fields of every degree are what the analysis of each degree says."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.blockade import Alternatives, FieldMap, UniformField, analyse_blockade, in_all_directions
from nbedex.errors import ArgumentError
from oracles import planes_phantom


@pytest.fixture(scope="module")
def network():  # type: ignore[no-untyped-def]
    labels = planes_phantom.voronoi((24, 30), 6, seed=3)
    normals = np.random.default_rng(5).normal(size=(labels.max() + 1, 3))
    return planes_phantom.network(labels, normals)


def test_every_degree_is_that_of_its_own_analysis(network) -> None:  # type: ignore[no-untyped-def]
    other = Alternatives(grain=np.array([1]), normal=np.array([[0.0, 0.6, 0.8]]), share=np.array([0.4]))
    blockade = analyse_blockade(network, UniformField(33.0), alternatives=other)
    found = in_all_directions(blockade, alternatives=other, every_deg=4)
    assert found.every_deg == 4
    for degree in (0, 4, 88, 182, 356, 7):
        wanted = analyse_blockade(network, UniformField(float(degree)), alternatives=other)
        np.testing.assert_array_equal(found.code[:, degree], wanted.along.code)
        np.testing.assert_array_equal(found.code_traces[:, degree], wanted.along.code_traces)
        np.testing.assert_array_equal(found.segment_code[:, degree], wanted.segments.code)
        np.testing.assert_array_equal(found.segment_code_traces[:, degree], wanted.segments.code_traces)
        if degree % 4 == 0:
            nominal = np.take_along_axis(wanted.segments.probability, wanted.segments.code[:, None].astype(int), 1)
            np.testing.assert_array_equal(found.probability[:, degree], nominal[:, 0])
            np.testing.assert_array_equal(found.blocks_probability[:, degree], wanted.segments.blocks_probability)
            # the mean field of an analysis has the rounding of a mean
            np.testing.assert_allclose(
                found.accumulation_sigma[:, degree], wanted.segments.accumulation_sigma, rtol=1e-12
            )
            np.testing.assert_array_equal(found.undecided[:, degree], wanted.along.verdict < 0)
    assert len(np.unique(found.code)) > 3


def test_between_directions_that_were_tried_the_nearest_counts(network) -> None:  # type: ignore[no-untyped-def]
    blockade = analyse_blockade(network, UniformField(0.0))
    found = in_all_directions(blockade, every_deg=10)
    for degree, near in ((5, 10), (4, 0), (355, 0), (354, 350)):
        np.testing.assert_array_equal(found.blocks_probability[:, degree], found.blocks_probability[:, near])


def test_bad_requests(network) -> None:  # type: ignore[no-untyped-def]
    blockade = analyse_blockade(network, UniformField(0.0))
    with pytest.raises(ArgumentError, match="divide 360"):
        in_all_directions(blockade, every_deg=7)
    local = FieldMap(values=np.ones((24, 30, 2)), step=(2.0, 2.0))
    with pytest.raises(ArgumentError, match="uniform"):
        in_all_directions(analyse_blockade(network, local))
