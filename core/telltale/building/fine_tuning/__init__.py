"""Fine-tuning: a known network learns the classes of somebody's own folder."""
