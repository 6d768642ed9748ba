"""Statistics of a data set: what it holds, what a resolution would make of it, and what is wrong with it."""

from __future__ import annotations

from datamodules.statistics.captions import CaptionLengths, read_caption_lengths
from datamodules.statistics.examples import Gallery, galleries
from datamodules.statistics.images import SplitImages, measure_images
from datamodules.statistics.numbers import Distribution
from datamodules.statistics.page import render_page
from datamodules.statistics.pixels import Duplicates, Pixels, find_duplicates, read_pixels
from datamodules.statistics.plots import draw_plots
from datamodules.statistics.report import DatasetReport, SplitReport

__all__ = [
    "CaptionLengths",
    "DatasetReport",
    "Distribution",
    "Duplicates",
    "Gallery",
    "Pixels",
    "SplitImages",
    "SplitReport",
    "draw_plots",
    "find_duplicates",
    "galleries",
    "measure_images",
    "read_caption_lengths",
    "read_pixels",
    "render_page",
]
