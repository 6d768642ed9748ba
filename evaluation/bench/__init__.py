"""Speed and memory benchmarks: medians, ratios within one run, and the floor that matrix products set."""
