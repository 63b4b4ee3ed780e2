"""Where sessions, knowledge bases and labels come from."""
