"""How a server is watched from outside: its own figures, without content.

| module | what |
|---|---|
| `catalogue` | every figure: its name, what it counts, and each value that a label may have |
| `exchanges` | what the gateway counts of exchanges |
| `exposition` | the figures in the form that Prometheus reads |
"""
