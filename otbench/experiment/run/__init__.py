"""Running an experiment: its missing cells become tasks, tasks become rows."""
