"""What an attempt that failed means: try again, wait, give this item up, or stop the run."""

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from label.chat import CallError

TRIES = 6
BACKOFF_CAP_S = 60.0
FIRST_RETRY_S = 0.5
FIRST_PACED_RETRY_S = 2.0
"""Six tries that start here pass the end of a one-minute window."""

MAX_RETRY_AFTER_S = 120.0
"""A server may ask for this long and no longer; headers of days have been seen."""

Remedy = Literal["retry", "pace", "give up", "stop"]

STOP_STATUSES = frozenset({401, 402, 403, 404, 405})
RETRY_STATUSES = frozenset({408, 409, 425})

QUOTA_CODES = frozenset(
    {
        "access_terminated",
        "account_deactivated",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "contract_spend_limit_reached",
        "budget_exceeded",
        "credit_balance_too_low",
        "enforced_spend_limit_reached",
        "exceeded_current_quota_error",
        "insufficient_quota",
        "invalid_api_key",
        "linked_organization_spend_limit_reached",
        "quota_exceeded",
        "spend_limit_reached",
    }
)
"""Codes of errors that no retry can cure, whatever status carries them."""

QUOTA_WORDS = (
    "credit balance is too low",
    "reached your specified api usage",
    "specified workspace api usage",
)
"""Anthropic's words for an empty account and for limits its users set: plain 400s without a code of their own."""

CHARGED_STATUSES = frozenset({502, 504, 524})
"""A gateway lost the answer, which may well have been written, and charged."""

FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
UNFIT_PROMPT = "unfit_prompt"
"""Our own code for a prompt that the model cannot be shown."""

LENGTH_CODES = frozenset({"context_length_exceeded", "string_above_max_length", UNFIT_PROMPT})
LENGTH_WORDS = (
    "context length",
    "maximum context",
    "context window",
    "too many tokens",
    "prompt is too long",
)
FILTER_WORDS = ("content management policy", "content filter", "content policy")


@dataclass(frozen=True, slots=True)
class Failure:
    """What to do about one attempt that failed."""

    remedy: Remedy
    state: Literal["failed", "blocked"] = "failed"
    """What the item becomes if it is given up."""
    is_about_item: bool = False
    """Whether the item itself is the reason, so that the next one may well succeed."""


RETRY = Failure("retry")
PACE = Failure("pace")
STOP = Failure("stop")
BLOCKED = Failure("give up", "blocked", is_about_item=True)
UNFIT = Failure("give up", is_about_item=True)
REFUSED_REQUEST = Failure("give up")


def classify(error: CallError) -> Failure:
    """The class of a failed attempt."""
    codes = set(error.code.lower().split())
    if codes & QUOTA_CODES or error.status in STOP_STATUSES:
        return STOP
    if error.status in (400, 429) and _says(error, QUOTA_WORDS):
        return STOP
    if error.status is None or error.status >= 500 or error.status in RETRY_STATUSES:
        return RETRY
    if error.status == 429:
        return PACE
    return _about_request(error, codes)


def _about_request(error: CallError, codes: set[str]) -> Failure:
    """The class of a status that says the request itself is at fault."""
    if codes & FILTER_CODES or _says(error, FILTER_WORDS):
        return BLOCKED
    if error.status == 413 or codes & LENGTH_CODES or _says(error, LENGTH_WORDS):
        return UNFIT
    return REFUSED_REQUEST


def _says(error: CallError, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(phrase in text for phrase in words)


def may_be_charged(error: CallError) -> bool:
    """Whether the provider may have answered, and charge for it, although no answer arrived."""
    return error.may_be_charged or error.status in CHARGED_STATUSES


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """How long a Retry-After header asks to wait, at most MAX_RETRY_AFTER_S; None if it says nothing usable."""
    if header is None or not header.strip():
        return None
    seconds = _seconds(header.strip(), now)
    if seconds is None or math.isnan(seconds) or seconds < 0:
        return None
    return min(seconds, MAX_RETRY_AFTER_S)


def _seconds(header: str, now: datetime) -> float | None:
    try:
        return float(header)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - now).total_seconds()


def backoff_s(failure: Failure, tries: int, chance: random.Random) -> float:
    """How long to wait after the TRIES-th try, with jitter of one half."""
    first = FIRST_PACED_RETRY_S if failure.remedy == "pace" else FIRST_RETRY_S
    return min(BACKOFF_CAP_S, first * 2.0 ** (tries - 1)) * chance.uniform(0.5, 1.0)
