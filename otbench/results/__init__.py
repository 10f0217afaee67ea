"""Results: what is stored in a results folder, and the tables made of it."""
