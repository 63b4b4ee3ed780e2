"""A run as text: for reading (terminal) and for programs (JSON, JSON lines). Pick one with `formats.renderer_for`."""
