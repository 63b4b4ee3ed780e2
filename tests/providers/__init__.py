"""Servers on the loopback that speak providers' documented forms, with faults on demand."""
