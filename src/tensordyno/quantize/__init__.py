"""Calibration and quantization: ranges from one pass over images, Q/DQ files that every engine reads."""
