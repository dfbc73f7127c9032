"""Catalogue of sensors: one file a source."""
