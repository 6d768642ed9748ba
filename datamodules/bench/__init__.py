"""How fast the loader is: beside bare decoding, plain webdataset and PyTorch over loose files."""
