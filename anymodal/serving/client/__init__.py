"""Models on servers of OpenAI's API, for sessions of this process."""
