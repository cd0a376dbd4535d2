"""Cloud sessions' machines, emulated and seen from outside."""
