"""A stored run as files that others read: TREC runs and qrels, or a bundle that replays to the same rankings."""
