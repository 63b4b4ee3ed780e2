"""Two runs of the same sides: what changed from one to the other, and whether that can be said. Pure."""
