"""Transport: the exact Wasserstein distance of two samples, its proof, and every bound of it."""
