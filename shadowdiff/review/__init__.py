"""A screen to walk a run's worst sessions, and to label and comment on what it shows."""
