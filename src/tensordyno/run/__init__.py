"""The parent: sessions, workers, rounds."""
