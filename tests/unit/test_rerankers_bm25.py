"""Being written by the rerankers helper (09:12)."""
