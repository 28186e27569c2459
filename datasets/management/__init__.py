"""The commands of `manage.py`: their arguments, output and actions."""
