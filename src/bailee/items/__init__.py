"""Items: the entries of the list in which a client sends a conversation, by the API that it speaks.
Pure.

To the vault they are values, kept and given back as they came. What one says is known here alone:
`replies`, by which items an answer comes back; `speaking`, who speaks; `view`, how one is read.

All of it is total: an item may be any JSON value, since a client or an upstream sent it.
"""
