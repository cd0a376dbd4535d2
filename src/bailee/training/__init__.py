"""What may be trained on, decided for one session at a time. Nothing here exports anything yet."""
