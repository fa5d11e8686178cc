"""The triangles of a puppet."""

import numpy as np
import pytest

from src.puppets.files import read_puppet
from src.puppets.mesh import delaunay, triangulate
from tests.puppets.sample import EXAMPLES


def test_lips_and_eyes_have_whole_outlines():
    # A mouth so wide that Delaunay alone reaches from the lower outer lip to the upper inner one.
    maestro = read_puppet(EXAMPLES / "maestro.png")
    vertices = maestro.vertices(maestro.landmarks)
    plain = delaunay(vertices)
    fixed = triangulate(vertices, inner_lip=False)

    def edges(triangles):
        return {frozenset((t[i], t[i - 1])) for t in triangles for i in range(3)}

    def area(triangles):
        a, b, c = (vertices[triangles[:, i]] for i in range(3))
        return np.abs(np.cross(b - a, c - a)).sum() / 2

    rings = [(36, 42), (42, 48), (48, 60), (60, 68)]
    wanted = {frozenset((p, p + 1 if p + 1 < b else a)) for a, b in rings for p in range(a, b)}
    assert wanted - edges(plain)
    assert not wanted - edges(fixed)
    assert len(fixed) == len(plain)
    assert area(fixed) == pytest.approx(area(plain), rel=1e-12)
    assert (fixed[:6] >= 60).all()
    assert (fixed[:6] < 68).all()
