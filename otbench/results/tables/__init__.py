"""Tables: pure functions of a results folder's rows, one subject per file."""
