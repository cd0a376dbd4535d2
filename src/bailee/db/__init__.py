"""Tables and migrations. No decisions are made here.

Two databases, never one: `data` (accounts, audit record, the vault's index) and `keys` (the
keyring), so that a copy of the one never holds what the other needs.
"""
