"""Cloud sessions, from the task to the destruction of the machine that worked on it.

`asked.py` is what a person asks for, `states.py` how far a session has come, `store.py` what is
kept of it, `task.py` the commands that its guest is given, `leading.py` one session's way through
its machine, `sessions.py` all of a home's: admission, waiting, starting, ending.

Rows: C1, C4, C5.
"""
