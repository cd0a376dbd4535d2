"""SCIM 2.0, the server's side: an organisation's provider makes its people here, and ends them.

`application` is what listens, and imports the library of the protocol's models when it is first
asked for; `service` carries requests out over the home's people; `resources` has the two kinds of
resources as they are here.

Standards: RFC 7643, RFC 7644; by way of scim2-models.
"""
