"""Pictures of plain results; nothing in the package below imports from here."""
