"""A model as tools of any agent: a server of the Model Context Protocol (the extra `mcp`)."""
