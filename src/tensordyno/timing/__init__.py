"""Instruments: the timed loop, the stopping rule, the spin probe."""
