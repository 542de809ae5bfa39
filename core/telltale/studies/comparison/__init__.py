"""Speed side by side with what people would use instead, every result checked to be equal or equally good."""
