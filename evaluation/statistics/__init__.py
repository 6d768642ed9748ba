"""Statistics of comparisons: paired bootstrap, many tests at once, agreement of raters, ratings."""
