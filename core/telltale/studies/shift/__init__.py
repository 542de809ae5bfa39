"""Natural shift, measured and stored: alarms on natural images that were only processed."""
