"""What is used of models: counts, prices, limits, and which models may be asked. Never content.

`models`, `prices`, `limits`, `asked`, `asking`, `client_shapes` are pure. `counts` and
`limit_store` own the tables; `counting` and `governing` are what a gateway calls.
"""
