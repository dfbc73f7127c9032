"""Numbers: pure functions from facts to tables."""
