"""Measurement: metrics, the ShapesEval benchmark, result files and reports."""
