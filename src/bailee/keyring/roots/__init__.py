"""Where the root key is: a driver for each place, and the choice between them."""
