"""People, organisations, plans, API keys, consent records."""

from bailee.accounts.accounts import Account, Accounts, ApiKey, ConsentRecord

__all__ = ["Account", "Accounts", "ApiKey", "ConsentRecord"]
