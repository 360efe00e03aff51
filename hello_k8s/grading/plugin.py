"""The pytest plugin that grades labs."""
