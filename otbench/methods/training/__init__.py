"""Training: the engine that trains clipped networks in batches, the plain loop beside it, and their points."""
