"""The agent's tools, one file for each kind, and the box that holds those of a session."""
