"""Generators in training against clipped critics, with the exact W1 beside what the critic prints."""
