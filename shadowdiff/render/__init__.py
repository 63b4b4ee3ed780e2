"""A run as text: for reading (terminal, Markdown, HTML) and for programs (JSON, CSV, JUnit): `formats.renderer_for`."""
