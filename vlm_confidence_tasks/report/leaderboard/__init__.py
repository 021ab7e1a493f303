"""Runs -> one leaderboard: numbers, intervals, columns, tables, flips."""
