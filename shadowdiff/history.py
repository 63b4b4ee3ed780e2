"""From nights to a trend: the rows of the history, and which of them leave the band of those before. Pure."""
