"""`python -m shadowdiff`."""

from shadowdiff.cli.main import main

main()
