"""Make data sets: ``python -m datamodules {prepare,pack,index}``."""
