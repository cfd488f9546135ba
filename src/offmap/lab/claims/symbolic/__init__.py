"""Discrete and symbolic targets."""
