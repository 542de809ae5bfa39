"""Road signs, drawn: every picture is computed from the geometry of its sign and a seed, none was ever photographed."""
