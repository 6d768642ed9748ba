"""Benchmarks that ask a visual question answering model: DPG-Bench, DSG, VQAScore, Soft-TIFA."""
