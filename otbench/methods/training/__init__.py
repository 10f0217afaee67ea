"""Critics: functions on R^d that can be read in float64, and the engine that trains clipped networks."""
