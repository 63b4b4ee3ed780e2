"""Finished reports to where people read them: a directory, S3, a webhook. Knows no run."""
