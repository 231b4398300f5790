"""How many text messages may go out: each costs money, and fraudsters earn it ("pumping").

Every budget is spent before a message is sent, in one atomic statement of the store, and outlives
a restart. Numbers of OWASP ASVS 5.0 2.4.1 and 6.6.1; regions and kinds of numbers are the
operator's policy, and without one nothing is sent. A region to which far more codes go than come
back is alarmed about, then closed until its day is over.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp import events
from idp.errors import NotSent
from idp.factors.base import N_
from idp.model import Message, User
from idp.ports import Clock, Quotas
from idp.settings import SmsSettings

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ENDLESS = 10**9
SAME_PREFIX = 3  # last digits that numbers of one block differ in

NO_REGION = N_("Text messages to numbers of this country are not possible. Choose another way.")
NO_TYPE = N_("Text messages to this kind of number are not possible. Use a mobile number.")
SOON = N_("A message is on its way. You can ask for another one in a moment.")
ENOUGH = N_("No more messages can be sent today. Choose another way.")


@dataclass(frozen=True, slots=True)
class Destination:
    """What a number says of itself."""

    number: str
    region: str
    type: str  # as phonenumbers names it, lower case

    @property
    def key(self) -> str:
        """Stands for the number where it need not be known."""
        return hashlib.sha256(self.number.encode()).hexdigest()[:32]

    @property
    def prefix(self) -> str:
        return self.number[:-SAME_PREFIX]


class SmsLimits:
    def __init__(
        self, quotas: Quotas, settings: SmsSettings, bus: events.Bus, clock: Clock, *, dev: bool
    ) -> None:
        """`dev`: an empty list of regions stands for all, since nothing really goes out."""
        self._quotas = quotas
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._any_region = dev and not settings.regions

    def admit(self, message: Message, user: User | None, address: str) -> str:
        """Spend what this message costs; its region is the receipt. Raises NotSent."""
        to, now = destination(message.to), self._clock()
        try:
            self._allowed(to)
            self._spaced(to, user, now)
            self._budgeted(to, user, address, now)
            self._believable(to.region, now)
        except NotSent as refusal:
            self._bus.emit(
                events.MessageRefused(
                    at=now,
                    kind=message.kind,
                    reason=refusal.reason,
                    region=to.region,
                    user_id=None if user is None else user.id,
                )
            )
            raise
        return to.region

    def verified(self, region: str) -> None:
        """A code that went to this region came back."""
        self._quotas.spend(f"sms:verified:{region}", ENDLESS, DAY, self._clock())

    def _allowed(self, to: Destination) -> None:
        if not self._any_region and to.region not in self._settings.regions:
            raise NotSent(f"region {to.region or 'unknown'} is not allowed", NO_REGION)
        if to.type in self._settings.refused_types:
            raise NotSent(f"a number of the type {to.type}", NO_TYPE)

    def _spaced(self, to: Destination, user: User | None, now: datetime) -> None:
        """The wait grows with each message of the day."""
        owner = "nobody" if user is None else user.id
        sent = self._quotas.used(f"sms:number:{to.key}", now)
        spacing = self._settings.spacing
        wait = spacing[min(sent, len(spacing) - 1)] if spacing else timedelta(0)
        if wait:
            self._spend(f"sms:gap:{owner}:{to.key}", 1, wait, now, "sent a moment ago", SOON)

    def _budgeted(self, to: Destination, user: User | None, address: str, now: datetime) -> None:
        most = self._settings
        budgets: Mapping[str, tuple[int, timedelta]] = {
            f"number:{to.key}": (most.per_number, DAY),
            f"prefix:{to.prefix}": (most.per_prefix, HOUR),
            **({f"address:{address}": (most.per_address, HOUR)} if address else {}),
            "all": (most.per_day, DAY),
        }
        if user is not None:
            self._few_numbers(to, user, now)
        for name, (limit, window) in budgets.items():
            reason = f"the budget of {name.partition(':')[0]} is spent"
            self._spend(f"sms:{name}", limit, window, now, reason, ENOUGH)

    def _few_numbers(self, to: Destination, user: User, now: datetime) -> None:
        """Different numbers of one person: the first message to each counts."""
        known = f"sms:known:{user.id}:{to.key}"
        if self._quotas.used(known, now):
            return
        limit, reason = self._settings.numbers_per_user, "too many numbers of one user"
        self._spend(f"sms:numbers:{user.id}", limit, DAY, now, reason, ENOUGH)
        self._quotas.spend(known, 1, DAY, now)

    def _believable(self, region: str, now: datetime) -> None:
        """Stop what goes to a region from which next to no code comes back."""
        sent = self._quotas.spend(f"sms:sent:{region}", ENDLESS, DAY, now)
        verified = self._quotas.used(f"sms:verified:{region}", now)
        ratio = sent.count / max(verified, 1)
        if sent.count <= self._settings.judge_after or ratio <= self._settings.alarm_ratio:
            return
        stopped = ratio > self._settings.stop_ratio
        once = self._quotas.spend(f"sms:alarm:{stopped}:{region}", 1, DAY, now)
        if once.allowed:
            self._bus.emit(
                events.SmsAlarm(
                    at=now, region=region, sent=sent.count, verified=verified, stopped=stopped
                )
            )
        if stopped:
            raise NotSent("far more codes are sent to the region than come back", ENOUGH)

    def _spend(
        self, key: str, limit: int, window: timedelta, now: datetime, reason: str, public: str
    ) -> None:
        spent = self._quotas.spend(key, limit, window, now)
        if not spent.allowed:
            raise NotSent(reason, public, spent.whole_at if public == SOON else None)


def destination(number: str) -> Destination:
    """Raises NotSent for what is no number."""
    import phonenumbers  # large, and of use only here

    try:
        found = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        raise NotSent("not a number", NO_TYPE) from None
    region = phonenumbers.region_code_for_number(found) or ""
    kind = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(found))
    return Destination(
        phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164),
        region,
        kind.lower(),
    )
