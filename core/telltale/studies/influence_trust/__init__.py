"""How far influence foretells what a network answers once it has learned from fewer images: retrained and counted."""
