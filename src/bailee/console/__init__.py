"""The web pages and the small HTTP API beside them."""
