"""Send every turn through every side in shadow, store what comes back, and sum it up."""
