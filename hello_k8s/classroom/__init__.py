"""The instructor's side: a folder of submissions graded side by side, and what is made of the results."""
