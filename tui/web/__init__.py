"""`review --web`: the same app in a browser on this machine."""
