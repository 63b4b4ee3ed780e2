"""The HTML report: one file that needs nothing else, with a template, a style and scripts beside this module."""
