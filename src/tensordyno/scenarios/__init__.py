"""Catalogue of scenarios: what a worker does with a built network."""
