"""Labelling a run's entries by hand: which ones, in which order, how far it is, and how far people agree."""
