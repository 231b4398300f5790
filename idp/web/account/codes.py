"""/account/recovery-codes: make new ones, shown once; print them or keep them as a file.

The codes are in the answer to one form and nowhere else: in no URL, in no store. The file is the
answer to another form, which sends them back to us, so that it works without JavaScript.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

from flask import abort, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.errors import Refused
from idp.factors import recovery_code
from idp.factors.admin import AuthenticatorAdmin
from idp.factors.base import N_, Factor
from idp.ports import Clock, Ephemeral
from idp.web.account.dates import calendar_of
from idp.web.account.room import Here, Room
from idp.web.account.ways import second_factors

PAGE = "/account/recovery-codes"
DOWNLOAD = f"{PAGE}/download"
ONE_FORM = timedelta(hours=12)  # how long a form cannot be sent a second time
CODE = re.compile(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){4}")
SEEN = N_("These codes were shown once already. If you did not keep them, make new ones.")
FIRST = N_("Add a second step first: recovery codes stand in for it.")


class RecoveryCodes:
    def __init__(
        self,
        room: Room,
        authenticators: AuthenticatorAdmin,
        factors: Mapping[str, Factor],
        ephemeral: Ephemeral,
        brand: str,
        clock: Clock,
    ) -> None:
        self._room = room
        self._authenticators = authenticators
        self._factors = factors
        self._ephemeral = ephemeral
        self._brand = brand
        self._clock = clock

    def show(self) -> Response:
        here = self._in_use(self._room.prove())
        return self._room.show(
            here,
            "codes",
            left=self._authenticators.codes_left(here.user.id),
            possible=self._possible(here),
            form_id=uuid4().hex,
        )

    def make(self) -> Response:
        """The old ones die. A form sent twice makes one set: the second would kill the first,
        which the person may have written down by now."""
        here = self._in_use(self._room.take_proven())
        form_id = request.form.get("form", "")[:32]
        if not form_id or not self._ephemeral.once(f"codes:{here.user.id}:{form_id}", ONE_FORM):
            return self._room.refuse(here, SEEN)
        if not self._possible(here):
            return self._room.refuse(here, FIRST)
        try:
            codes = self._authenticators.issue_codes(here.user.id, actor=here.user.id)
        except Refused as refused:
            return self._room.refuse(here, refused.public)
        return self._room.show(
            here,
            "codes_shown",
            codes=codes,
            day=calendar_of(here.user).day(self._clock()),
            download=self._room.url(DOWNLOAD),
            download_csrf=self._room.token(here, DOWNLOAD),
            done=self._room.url("/account/authenticators"),
        )

    def download(self) -> Response:
        """What the form brings, as a file: codes and nothing else."""
        here = self._in_use(self._room.take(PAGE))
        codes = request.form.getlist("code")[: recovery_code.CODES]
        if not codes or not all(CODE.fullmatch(code) for code in codes):
            abort(400)
        lines = [
            _(
                "Recovery codes of %(username)s at %(brand)s",
                username=here.user.username,
                brand=self._brand,
            ),
            calendar_of(here.user).day(self._clock()),
            "",
            *codes,
            "",
            _("Each code works once, in place of your second step."),
            _("Keep them where nobody else finds them."),
        ]
        body = "\r\n".join(lines) + "\r\n"
        response = Response(body, mimetype="text/plain")
        response.headers["Content-Disposition"] = 'attachment; filename="recovery-codes.txt"'
        return response

    def _possible(self, here: Here) -> bool:
        held = self._authenticators.of(here.user.id)
        return bool(second_factors(self._factors, held))

    def _in_use(self, here: Here) -> Here:
        if recovery_code.NAME not in self._factors:
            abort(404)
        return here
