"""Catalogue of datasets: one file each."""
