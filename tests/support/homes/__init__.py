"""Homes of every kind, and what happens to them."""
