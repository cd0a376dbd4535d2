"""What stands around bailee: git, sign-in, packages, providers, proxies."""
