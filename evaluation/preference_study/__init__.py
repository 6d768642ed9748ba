"""People choose between the images of two runs: a page to vote on, and what the votes say."""
