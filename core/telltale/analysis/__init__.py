"""One image through the whole path, and what comes back."""
