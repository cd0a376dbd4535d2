"""The processes, and the only place where they are wired: `serve` is `bailee up`, `schedule` what
it does by itself, `access` what the gateway asks of the home, `pages` what the console draws on.
"""
