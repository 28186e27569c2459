"""Rows and datasets that follow the archives: views of one state, and their repair after a killed write."""
