"""How many text messages may go out: each costs money, and fraudsters earn it ("pumping").

What a message may not spend is looked for first, so one that is refused costs nobody anything;
then it is spent before the message is sent, each budget in one atomic statement of the store that
outlives a restart. Numbers of OWASP ASVS 5.0 2.4.1 and 6.6.1; regions and kinds of numbers are the
operator's policy, and without one nothing is sent. A region to which far more codes go than come
back is alarmed about, then closed until they do, or its day is over.
"""

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from idp import events
from idp.errors import ConfigError, NotSent
from idp.factors.base import N_
from idp.model import Message, User
from idp.ports import Clock, Quotas
from idp.reaching import SmsSettings

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ENDLESS = 10**9
SAME_PREFIX = 3  # last digits that numbers of one block differ in
SAME_NETWORK = 64  # bits of an IPv6 address that one customer has

NO_REGION = N_("Text messages to numbers of this country are not possible. Choose another way.")
NO_TYPE = N_("Text messages to this kind of number are not possible. Use a mobile number.")
SOON = N_("A code was sent a moment ago. If it does not work here, ask for another one.")
LATER = N_("Too many messages were sent. Try again later, or choose another way.")
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


@dataclass(frozen=True, slots=True)
class Budget:
    """What one message spends one of, and what is said when nothing is left."""

    key: str
    limit: int
    window: timedelta
    reason: str
    public: str

    def refusal(self, whole_at: datetime) -> NotSent:
        """When it can be tried again is said of what is whole again within the hour."""
        return NotSent(self.reason, self.public, whole_at if self.window <= HOUR else None)


class SmsLimits:
    def __init__(
        self, quotas: Quotas, settings: SmsSettings, bus: events.Bus, clock: Clock, *, dev: bool
    ) -> None:
        """`dev`: an empty list of regions stands for all, since nothing really goes out. Raises
        ConfigError for a region that there is not."""
        self._quotas = quotas
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._any_region = dev and not settings.regions
        _known(settings.regions)

    def admit(self, message: Message, user: User | None, address: str) -> str:
        """Spend what this message costs; its region is the receipt. Raises NotSent."""
        to, now = destination(message.to), self._clock()
        try:
            self._allowed(to)
            self._spend(to, user, address, now)
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
        now = self._clock()
        self._quotas.spend(_of_day("verified", region, now), ENDLESS, DAY, now)

    def _allowed(self, to: Destination) -> None:
        if not to.number:
            raise NotSent("not a number", NO_TYPE)
        if not self._any_region and to.region not in self._settings.regions:
            raise NotSent(f"region {to.region or 'unknown'} is not allowed", NO_REGION)
        if to.type in self._settings.refused_types:
            raise NotSent(f"a number of the type {to.type}", NO_TYPE)

    def _spend(self, to: Destination, user: User | None, address: str, now: datetime) -> None:
        budgets = (*self._of_origin(to, user, address, now), *self._of_number(to))
        for budget in budgets:
            if self._quotas.used(budget.key, now) >= budget.limit:
                self._take(budget, now)
        sent = _of_day("sent", to.region, now)
        self._believable(to.region, self._quotas.used(sent, now) + 1, now)
        for budget in budgets:
            self._take(budget, now)
        self._believable(to.region, self._quotas.spend(sent, ENDLESS, DAY, now).count, now)

    def _take(self, budget: Budget, now: datetime) -> None:
        """Raises NotSent when it is used up; nothing is counted then."""
        spent = self._quotas.spend(budget.key, budget.limit, budget.window, now)
        if not spent.allowed:
            raise budget.refusal(spent.whole_at)

    def _of_origin(
        self, to: Destination, user: User | None, address: str, now: datetime
    ) -> Iterator[Budget]:
        """Of who asks for it. First, so that a stranger's wishes end before they use up what a
        number may get. The wait grows with each message of the day."""
        most = self._settings
        owner = "nobody" if user is None else user.id
        if address:
            network = f"sms:address:{_network(address)}"
            reason = "the budget of address is spent"
            yield Budget(network, most.per_address, HOUR, reason, LATER)
        if most.spacing:
            sent = self._quotas.used(f"sms:number:{to.key}", now)
            wait = most.spacing[min(sent, len(most.spacing) - 1)]
            yield Budget(f"sms:gap:{owner}:{to.key}", 1, wait, "sent a moment ago", SOON)
        known = Budget(f"sms:known:{owner}:{to.key}", ENDLESS, DAY, "", ENOUGH)
        if user is not None and not self._quotas.used(known.key, now):
            reason = "too many numbers of one user"
            yield Budget(f"sms:numbers:{user.id}", most.numbers_per_user, DAY, reason, ENOUGH)
            yield known

    def _of_number(self, to: Destination) -> Iterator[Budget]:
        """Of where it goes, and of everybody."""
        most = self._settings
        reason = "the budget of {} is spent".format
        yield Budget(f"sms:number:{to.key}", most.per_number, DAY, reason("number"), ENOUGH)
        yield Budget(f"sms:prefix:{to.prefix}", most.per_prefix, HOUR, reason("prefix"), LATER)
        yield Budget("sms:all", most.per_day, DAY, reason("all"), ENOUGH)

    def _believable(self, region: str, sent: int, now: datetime) -> None:
        """Stop what goes to a region from which next to no code comes back."""
        verified = self._quotas.used(_of_day("verified", region, now), now)
        ratio = sent / max(verified, 1)
        if sent <= self._settings.judge_after or ratio <= self._settings.alarm_ratio:
            return
        stopped = ratio > self._settings.stop_ratio
        once = self._quotas.spend(_of_day(f"alarm:{stopped}", region, now), 1, DAY, now)
        if once.allowed:
            self._bus.emit(
                events.SmsAlarm(
                    at=now, region=region, sent=sent, verified=verified, stopped=stopped
                )
            )
        if stopped:
            raise NotSent("far more codes are sent to the region than come back", LATER)


def destination(number: str) -> Destination:
    """What nobody can be reached by has no number, region or type."""
    import phonenumbers  # large, and of use only here

    try:
        found = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return Destination("", "", "")
    if not phonenumbers.is_valid_number(found):
        return Destination("", "", "")
    region = phonenumbers.region_code_for_number(found) or ""
    kind = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(found))
    return Destination(
        phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164),
        region,
        kind.lower(),
    )


def _known(regions: tuple[str, ...]) -> None:
    """Raises ConfigError for a region that no number is in: it would keep messages from people."""
    if not regions:
        return
    import phonenumbers

    for region in regions:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ConfigError(
                f"sms.regions: {region!r} is no region; write the two capital letters of ISO 3166, "
                "such as DE or GB"
            )


def _of_day(what: str, region: str, now: datetime) -> str:
    """By the calendar, so that what is sent and what is verified begin again together."""
    return f"sms:{what}:{region}:{now.astimezone(UTC):%Y-%m-%d}"


def _network(address: str) -> str:
    """An IPv6 customer has a whole network of addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((address, SAME_NETWORK), strict=False))
