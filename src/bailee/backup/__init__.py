"""Backups of a home: data as long as one likes, keys for the overlap; and restoring, which undoes
no destruction (decision 111).

Rows: R5, R6.
"""
