"""Who may call a pod, and for what: TLS, tokens, rights, limits, and whose a claim is."""
