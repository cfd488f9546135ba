"""Interpolation and extrapolation: inside or outside the data."""
