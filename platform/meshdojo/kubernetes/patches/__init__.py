"""The four ways to PATCH: JSON merge patch, JSON patch, strategic merge patch, server-side apply."""
