"""The client of Korea Investment & Securities: real protocol, whoever answers (korea.md 1, 2)."""
