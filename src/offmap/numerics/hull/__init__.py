"""Convex hulls: is a query inside, how far outside, and the proof."""

from offmap.numerics.hull.decide import membership
from offmap.numerics.hull.gaussian import (
    inside_probability,
    samples_needed,
    wendel_probability,
)
from offmap.numerics.hull.result import Membership

__all__ = [
    "Membership",
    "inside_probability",
    "membership",
    "samples_needed",
    "wendel_probability",
]
