"""What may be trained on, decided for one session at a time. And what is made of it: rows
that trainers load, without secrets and personal data, in files that describe themselves.
"""
