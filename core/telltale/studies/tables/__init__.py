"""The papers' tables, computed again here and put beside the published figures."""
