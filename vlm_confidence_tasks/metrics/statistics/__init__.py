"""The kinds of numbers, a class each: `statistic.Statistic` says what all of them offer."""
