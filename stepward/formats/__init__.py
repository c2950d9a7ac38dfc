"""Other people's data sets, in and out, as neutral rows; nothing here grades or labels."""
