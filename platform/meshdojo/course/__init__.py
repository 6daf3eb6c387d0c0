"""The course: finds the labs and reads their Markdown. Knows nothing of clusters."""
