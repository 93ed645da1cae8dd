"""`label calibrate`: a judge against people's verdicts in the store, and the certificate kept with a run."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from label.comparing.stored_verdicts import merge_orders, read_verdicts
from label.measures import Measure, check_statistics
from label.trust.agree import chosen
from label.trust.calibration import (
    CalibrationSettings,
    Certificate,
    accuracy_by_strength,
    beside_gold,
    certify,
    gold_of,
)
from store.errors import RequestError

if TYPE_CHECKING:
    from store.db import Store


@dataclass(frozen=True, slots=True)
class Calibration:
    """What came of it."""

    certificate: Certificate
    measures: list[Measure]

    def as_json(self) -> dict[str, object]:
        """Both as an object."""
        return {
            "certificate": self.certificate.as_json(),
            "measures": [one.as_json() for one in self.measures],
        }


def calibrate(store: "Store", settings: CalibrationSettings) -> Calibration:
    """Measure the judge against the gold verdicts; stored with a run unless the past is looked at.

    Raises UnknownName for a labeler that is not there, RequestError where no item has both verdicts or
    fewer have than the sample asked for.
    """
    from store.runs import run_of

    check_statistics()
    found = calibration_of(store, settings)
    if store.at is None:
        with run_of(store, "label calibrate", asdict(settings)) as run:
            run.finish(found.as_json())
    return found


def calibration_of(store: "Store", settings: CalibrationSettings) -> Calibration:
    """The same without storing it."""
    with store.read() as reading:
        labels = merge_orders(read_verdicts(reading))
    names = {one.labeler for one in labels}
    others = [one for one in labels if one.labeler != settings.judge]
    gold = gold_of(chosen(others, settings.gold, names - {settings.judge}, has_draws=False))
    own = chosen(labels, (settings.judge,), names, has_draws=False)
    judged = beside_gold(own, gold, settings)
    wanted = settings.sample or 1
    if len(judged) < wanted:
        raise RequestError(
            f"{len(judged)} items were decided by {settings.judge} and judged blind by"
            f" {', '.join(settings.gold)}, {wanted} are needed; judge more of them with: review"
        )
    return Calibration(certify(judged, settings), accuracy_by_strength(judged, settings.level))
