"""Measures that break the law."""
