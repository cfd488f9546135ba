"""Capacity and regularization."""
