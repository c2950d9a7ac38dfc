"""Work of other runs, or of earlier recipes, used again."""
