"""Faster forms of an ONNX cross-encoder, and what each does to a user's own rankings."""
