"""What a person or a program uses: commands, terminals, and those who ask a server."""
