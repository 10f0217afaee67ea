"""The page: one self-contained file with the questions, answers, pictures and rows of results, for a browser."""
