"""Catalogue of networks: one file a family."""
