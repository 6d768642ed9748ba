"""``python -m evaluation compare A B``: is one run better than another, on the same prompts?"""
