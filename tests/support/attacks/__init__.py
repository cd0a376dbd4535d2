"""What attacks a server, and what finds small inputs that cost much."""
