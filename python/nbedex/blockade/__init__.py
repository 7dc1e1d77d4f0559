"""Which boundaries block sodium in a field."""
