"""Studies: experiments that are no matrix of cells, such as measurements of speed and generators in training."""
