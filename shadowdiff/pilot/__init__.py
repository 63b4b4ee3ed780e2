"""Build or buy: a sample of sessions through every side, what each is worth and costs, and which one to take."""
