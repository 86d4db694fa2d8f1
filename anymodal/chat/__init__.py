"""Chatting: one turn, sessions, and the HTML report of a conversation."""
