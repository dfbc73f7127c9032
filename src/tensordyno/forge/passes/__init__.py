"""Passes over the graph, one idea a file: each takes a graph and returns one that computes the same."""
