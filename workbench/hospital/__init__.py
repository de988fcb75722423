"""A synthetic French university hospital: invented patients, in OMOP form and as the tables of a hospital system."""
