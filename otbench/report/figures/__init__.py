"""Figures: the pictures of a results folder, one picture per file."""
