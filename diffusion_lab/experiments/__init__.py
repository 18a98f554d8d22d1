"""What explorers and notebooks measure and show, in plain torch: nothing in here uses a widget."""
