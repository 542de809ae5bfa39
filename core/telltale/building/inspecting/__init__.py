"""Looking at somebody's network before anything is built around it: what fits, what does not, what it will cost."""
