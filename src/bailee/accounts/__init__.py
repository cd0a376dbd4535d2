"""People, organisations, plans, API keys, consent records."""
