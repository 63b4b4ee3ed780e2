"""What `shadowdiff doctor` looks at. Only the command line imports this room."""
