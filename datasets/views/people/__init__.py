"""The pages about people: one's own account with its tokens, and the audit."""
