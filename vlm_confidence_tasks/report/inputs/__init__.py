"""Reading runs: results files, samples files, names of models."""
