"""What shadowdiff keeps in Postgres: its own source tables, and runs with everything that was computed for them."""
