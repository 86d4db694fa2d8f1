"""Tasks of the matrix: conversations with what their replies must hold."""
