"""The HTML report in the Chromium that the system has."""
