"""Verdicts on two responses, by a judge that is asked or a preference model that weighs."""
