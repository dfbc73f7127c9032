"""Catalogue of calibration methods: from a histogram of activations to the range INT8 should cover."""
