"""Catalogue of engines: one file each."""
