"""Logs as folders, and software that is not ours to verify them with."""
