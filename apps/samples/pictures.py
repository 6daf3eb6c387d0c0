"""One small picture (a sail, drawn for this) in the four forms that httpbin serves; made with Pillow."""

from __future__ import annotations

from base64 import b64decode

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32">
  <rect width="32" height="32" fill="#e9eef5"/>
  <path d="M4 24 16 4v20zM4 26h25v3H4z" fill="#3c5ac8"/>
  <path d="m18 10 10 14H18z" fill="#7896e6"/>
</svg>
"""
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAgMAAAAOFJJnAAAACVBMVEXp7vV4luY8WsgHU1wNAAAAZUlEQVR42o3PuxGDQAwE0HfiAkIiYkqh"
    "tGvCTVCQa3DkGhwcgmEIjGakWa0+K/HQGmL3HhKMN2ZJ0GqWSgfhbF4JRiaChXrd0ygHs4qE0SWnzKvokuUcH7z4fszHA8UG3pdT/9kP1KAG"
    "3XNjZAcAAAAASUVORK5CYII="
)
_JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8"
    "ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAAR"
    "CAAgACADASIAAhEBAxEB/8QAGAAAAwEBAAAAAAAAAAAAAAAAAgQFAwb/xAAsEAABAwIDBgUFAAAAAAAAAAABAAIDBBESIlETFCExMkEFFVNh"
    "0oGRkpOy/8QAFwEAAwEAAAAAAAAAAAAAAAAAAAIDAf/EABkRAQADAQEAAAAAAAAAAAAAAAEAAhEDEv/aAAwDAQACEQMRAD8A6BDLI2GJ0jzl"
    "aLlEo/jFVjeII3ZW9djzOn0VKV9ORVyVoX7SJklrYmh1tLoknRTgNZE82yMw/iOCcWWMYDMK2p3WnMlgXcmg9yudJLiSSSTxJPdX66nmnwbI"
    "xZb32jQdPYpTy+r1pf1j4q3OxUi2FgEkCMg2IYz+QqVLOJo+PU3mkt0r/Up9OgfFb0cFTFKXTPiLcNhgaAb/AGCW+JA3Z//Z"
)
_WEBP = (
    "UklGRnIAAABXRUJQVlA4TGYAAAAvH8AHABcgEEj8TQKZZx6xYOJ/TSqZLNS0bcDwpxkG6fjnP/5RAawi22rzHkkMNGMUP0jhk7k2X50oiOj/"
    "BNAvizZDK7QN3EZVpofFQr3ERv18QB0WE01jicv4iLYYHihMNtSSkA4="
)

# Media type of each form, in the order in which a client that takes several of them gets one.
PICTURES = {
    "webp": ("image/webp", b64decode(_WEBP)),
    "svg": ("image/svg+xml", _SVG.encode()),
    "jpeg": ("image/jpeg", b64decode(_JPEG)),
    "png": ("image/png", b64decode(_PNG)),
}
