"""Reports: what people look at, made of stored results."""
