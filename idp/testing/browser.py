"""A browser that asks for JSON, and the person in front of it: from an authorization request to the
answer that the relying party gets.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from idp.testing.people import Page, Person, Surroundings, answer

LONGEST = 16  # pages of one sign-in
TIMEOUT = 30  # seconds
Answers = Mapping[str, Mapping[str, str] | Callable[[Page], Mapping[str, str]]]


class NotSignedIn(AssertionError):
    """The sign-in ended in another way. `answer` is what the provider said last."""

    def __init__(self, text: str, said: Mapping[str, Any]) -> None:
        super().__init__(text)
        self.answer = said


class Browser:
    """Keeps its cookies: a second visit finds the session of the first."""

    def __init__(self, issuer: str, person: Person, around: Surroundings) -> None:
        self.issuer = issuer
        self.person = person
        self.asked: list[str] = []
        """The factors that were asked for, one for each page, of all visits."""
        self._around = around
        self._http = requests.Session()
        self._http.headers["Accept"] = "application/json"

    def visit(
        self, url: str, *, by: str | Sequence[str] = (), answers: Answers | None = None
    ) -> str:
        """Go there, answer every page, and return where the provider sends the browser in the end:
        the relying party's callback with its parameters. Raises NotSignedIn.

        `by` names the factors to choose where there is a choice. `answers` are for factors of your
        own, by name: a form, or a function of the page that makes one.
        """
        preferred = (by,) if isinstance(by, str) else tuple(by)
        page = self._open(url)
        for _ in range(LONGEST):
            if "redirect_uri" in page:
                return str(page["redirect_uri"])
            page = self._answer(self._chosen(page, preferred), answers or {})
        raise NotSignedIn(f"{self._who(url)}: no end after {LONGEST} pages", page)

    def _chosen(self, page: Page, preferred: Sequence[str]) -> Page:
        """The page of a preferred factor, where the provider offers one."""
        if page["step"] == "consent" or page["factor"] in preferred:
            return page
        beside = {b["factor"]: b for b in page["beside"]}
        others = {c["factor"] for c in page["choices"]}
        for name in preferred:
            if name in beside:
                return {**page, **beside[name], "fields": []}
            if name in others:
                return self._send(page, {"choose": name})
        return page

    def _answer(self, page: Page, answers: Answers) -> Page:
        if page["step"] == "consent":
            return self._send(page, {"decision": "allow"})
        factor = page["factor"]
        own = answers.get(factor)
        if own is not None:
            form = own(page) if callable(own) else own
        else:
            form = answer(self.person, page, self._around)
        self.asked.append(factor)
        enroll = {"enroll": "1"} if page["step"] == "enroll" else {}
        after = self._send(page, {**form, **enroll})
        if after.get("error") and "redirect_uri" not in after:
            raise NotSignedIn(
                f"{self._who(page['action'])}: {factor} was refused: {after['error']} "
                f"(support code {after.get('support_code')})",
                after,
            )
        return after

    def _send(self, page: Page, form: Mapping[str, str]) -> Page:
        hidden = {"csrf": page["csrf"], "factor": page.get("factor", "")}
        return self._read(
            self._http.post(
                page["action"],
                data={**hidden, **form},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        )

    def _open(self, url: str) -> Page:
        return self._read(self._http.get(url, timeout=TIMEOUT, allow_redirects=False))

    def _read(self, response: requests.Response) -> Page:
        """The page, after redirects inside the provider. Raises NotSignedIn for an error."""
        if response.is_redirect:
            target = urljoin(response.url, response.headers["Location"])
            inside = target.startswith((f"{self.issuer}/", f"{self.issuer}?"))
            return self._open(target) if inside else {"redirect_uri": target}
        try:
            page = response.json()
        except requests.JSONDecodeError:
            page = {"error": response.text[:300]}
        if response.status_code >= 400 and "step" not in page:
            said = page.get("error_description") or page.get("error")
            code = page.get("support_code")
            raise NotSignedIn(
                f"{self._who(response.url)}: the provider answered {response.status_code}: {said}"
                + (f" (support code {code})" if code else ""),
                page,
            )
        found: Page = page
        return found

    def _who(self, url: str) -> str:
        asked = f" after {', '.join(self.asked)}" if self.asked else ""
        return f"{self.person.username} at {urlsplit(url).path}{asked}"


def parameters(url: str) -> Mapping[str, str]:
    """Of the provider's answer to a relying party, one value each."""
    parts = urlsplit(url)
    found = parse_qs(parts.query or parts.fragment, keep_blank_values=True)
    return {name: values[0] for name, values in found.items()}
