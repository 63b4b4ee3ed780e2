"""How a provider is asked: patiently, within limits, and never twice for what it has answered."""
