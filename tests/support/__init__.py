"""What tests share, by what it is: servers, machines, homes, browsers, clients."""
