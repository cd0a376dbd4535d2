"""What a person can ask of a home, and who may: the same for the command line, pages and HTTP.

A module for each subject (`sessions`, `people`, `keys`, `holds`, ...) has its operations as typed
functions `(asks, node, **arguments) -> result`. Pages call them; `table` finds them by name for the
control socket and HTTP, where `codec` makes arguments of what came and JSON of results. `routes`
says where each is under `/api/v1`. Nothing is imported here: a command that asks a server far away
needs the routes alone.
"""
