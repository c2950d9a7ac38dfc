"""What a run found, for people: the HTML page, its plots, its sentences, and the table in the terminal."""
