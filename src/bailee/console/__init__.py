"""The web pages and the small HTTP API beside them."""

from bailee.console.site import make_site
from bailee.console.sign_in import SignIn

__all__ = ["SignIn", "make_site"]
