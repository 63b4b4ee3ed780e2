"""Everything that can rank a pool, one file per kind, each found through an entry point."""
