"""Data: sources, WebDataset shards with an index, exact streaming in aspect-ratio buckets."""
