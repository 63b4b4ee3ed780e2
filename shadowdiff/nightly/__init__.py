"""One night after another: what is replayed when, and what becomes of it."""
