"""Solutions: drawn, graded and merged, or published by others."""
