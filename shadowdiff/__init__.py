"""Shadow-replay production sessions through rerankers and diff what each would have surfaced."""

__version__ = "0.1.0"
