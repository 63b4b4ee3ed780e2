"""Which side is better on labelled turns: measures, differences with their uncertainty, and where they come from."""
