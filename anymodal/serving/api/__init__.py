"""The HTTP server: OpenAI's API over engines. Names of fields are those of its clients."""
