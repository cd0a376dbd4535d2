"""What is retained: spooled, sealed as ciphertext, indexed, shown, forgotten.

Rows: R1, R2, R5, D4.
"""
