"""Numerical kernels on tensors, each worth importing by itself; they import nothing from offmap."""
