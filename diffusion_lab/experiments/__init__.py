"""What explorers and notebooks measure and show, in torch alone: nothing in here knows a widget."""
