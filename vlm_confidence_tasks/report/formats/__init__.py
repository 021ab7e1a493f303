"""A leaderboard as JSON, Markdown, CSV, LaTeX and HTML."""
