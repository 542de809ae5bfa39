"""The parts of the pages: functions that draw one thing about the current case."""
