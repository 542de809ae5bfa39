"""What everything stands on: errors, parameters, progress, files, processes, 8-bit images."""
