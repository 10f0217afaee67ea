"""Experiments: what a declaration file means, as cells."""
