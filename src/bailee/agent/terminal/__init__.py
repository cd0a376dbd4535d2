"""`bailee code` with a person: prompt_toolkit reads, rich shows. Nothing here decides anything."""
