"""Steps that bring a store of cases to the tables of this version."""
