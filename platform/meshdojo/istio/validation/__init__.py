"""What istiod's validating webhook refuses, and what it warns about, beyond the schemas of the CRDs."""
