"""What a model gets wrong by itself, why, and which of its training labels are probably wrong."""
