"""Who a request comes from (tokens), and whether they may (authorisation)."""
