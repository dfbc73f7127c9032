"""Catalogue of figures: one file each."""
