"""GenEval, and other benchmarks that are scored by an object detector."""
