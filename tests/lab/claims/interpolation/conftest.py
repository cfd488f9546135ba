"""An independent answer to: is it in the hull?"""

import numpy as np
import pytest
from scipy.optimize import linprog


@pytest.fixture
def program():
    """By HiGHS: whether convex weights of the points make the query."""

    def inside(points, query):
        a = np.vstack((np.asarray(points).T, np.ones(len(points))))
        found = linprog(np.zeros(len(points)), A_eq=a, b_eq=np.append(query, 1.0), method="highs")
        assert found.status in (0, 2), found.message
        return found.status == 0

    return inside
