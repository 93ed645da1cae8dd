"""How far labels can be trusted: agreement, win rates, bias, calibration."""
