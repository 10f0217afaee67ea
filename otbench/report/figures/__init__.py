"""Figures: the pictures of a results folder, one idea a file."""
