"""The real command line in a subprocess."""
