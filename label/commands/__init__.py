"""The commands of `label`, one module each, and the options that several share."""
