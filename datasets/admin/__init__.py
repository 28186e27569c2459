"""Django's admin of the catalog."""
