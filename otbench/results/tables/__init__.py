"""Tables: pure functions of a results folder's rows, one subject a file."""
