"""Rules over a run's summary, and what they make of it. Pure."""
