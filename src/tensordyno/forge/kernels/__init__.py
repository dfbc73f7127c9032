"""Kernels of the fused operations, and the exact NumPy oracle of each."""
