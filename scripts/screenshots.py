"""Take the pictures of docs/images/ anew: the real pages of `idp dev` in the real Chromium.

    make screenshots

Needs Chromium (scripts/services.sh installs it). Run it after a change to themes/default.
"""

from __future__ import annotations

import base64
import shutil
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from tests.live import Provider, provider

FOLDER = Path(__file__).parents[1] / "docs" / "images"
LARGEST = 160_000  # bytes
DESKTOP = {"width": 510, "height": 670}
PHONE = {"width": 375, "height": 700}
ACCOUNT = {"width": 1080, "height": 700}
BRAND = {"IDP_WEB__BRAND": "Example Accounts"}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else FOLDER
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        print("Chromium is not installed: run scripts/services.sh", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        provider(Path(state), environment=BRAND) as running,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        take_all(browser, running, folder)
        browser.close()
    too_large = [p.name for p in folder.glob("*.png") if p.stat().st_size > LARGEST]
    for name in too_large:
        print(f"{name} is over {LARGEST // 1000} kB", file=sys.stderr)
    return 1 if too_large else 0


def take_all(browser: Browser, running: Provider, folder: Path) -> None:
    with page(browser) as shown:
        shown.goto(authorize(running))
        take(shown, folder / "login.png")
        sign_in(shown, running, "ana")
        shown.get_by_label("Code").wait_for()
        take(shown, folder / "code.png")
    with page(browser, color_scheme="dark") as shown:
        shown.goto(authorize(running))
        take(shown, folder / "login-dark.png")
    with page(browser) as shown:
        shown.goto(authorize(running, "web-post", "openid email"))
        sign_in(shown, running, "ben")
        shown.get_by_role("button", name="Allow").wait_for()
        take(shown, folder / "consent.png")
    with page(browser, viewport=PHONE) as shown:
        shown.goto(authorize(running))
        take(shown, folder / "phone.png")
    with page(browser) as shown:
        shown.goto(f"{authorize(running)}&acr_values=aal2")
        sign_in(shown, running, "ben")
        shown.get_by_role("img", name="QR code").wait_for()
        take(shown, folder / "enrolment.png")
    for scheme, name in (("light", "account"), ("dark", "account-dark")):
        with page(
            browser, viewport=ACCOUNT, device_scale_factor=1.15, color_scheme=scheme
        ) as shown:
            shown.goto(f"{running.issuer}/account")
            sign_in(shown, running, "amy")
            shown.get_by_text("Signed in as").wait_for()
            take(shown, folder / f"{name}.png")
            if scheme == "light":
                rest(shown, running, folder)


def rest(shown: Page, running: Provider, folder: Path) -> None:
    """Deeper in the account, past the step-up."""
    shown.goto(f"{running.issuer}/account/recovery-codes")
    shown.get_by_role("textbox", name="Code").fill(running.totp("amy"))
    shown.get_by_role("button", name="Continue").click()
    shown.get_by_role("button", name="Make ten codes").click()
    shown.get_by_role("heading", name="Your recovery codes").wait_for()
    take(shown, folder / "recovery-codes.png")
    shown.goto(f"{running.issuer}/account/authenticators")
    take(shown, folder / "authenticators.png")


@contextmanager
def page(browser: Browser, **options: object) -> Iterator[Page]:
    chosen = {"viewport": DESKTOP, "device_scale_factor": 1.5, "locale": "en-GB", **options}
    context = browser.new_context(**chosen)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def authorize(running: Provider, client_id: str = "web", scope: str = "openid") -> str:
    asked = {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": running.client(client_id)["redirect_uris"][0],
        "scope": scope,
        "state": "picture",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    return f"{running.issuer}/authorize?{urlencode(asked)}"


def sign_in(shown: Page, running: Provider, username: str) -> None:
    shown.get_by_label("Username").fill(username)
    shown.get_by_label("Password", exact=True).fill(running.user(username)["password"])
    shown.get_by_role("button", name="Sign in", exact=True).click()


def take(shown: Page, path: Path) -> None:
    shown.wait_for_load_state("networkidle")
    picture = shown.screenshot(full_page=True, animations="disabled", caret="hide")
    path.write_bytes(smaller(shown.context.new_page(), picture))
    print(f"{path} {path.stat().st_size // 1000} kB")


PIXELS = """async png => {
  const bytes = Uint8Array.from(atob(png), c => c.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  const drawing = new OffscreenCanvas(image.width, image.height).getContext('2d');
  drawing.drawImage(image, 0, 0);
  const { data } = drawing.getImageData(0, 0, image.width, image.height);
  let text = '';
  for (let i = 0; i < data.length; i += 4) text += String.fromCharCode(...data.subarray(i, i + 3));
  return [image.width, image.height, btoa(text)];
}"""


def smaller(blank: Page, picture: bytes) -> bytes:
    """The same pixels; flat areas pack better without the browser's row filters."""
    width, height, encoded = blank.evaluate(PIXELS, base64.b64encode(picture).decode())
    pixels, row = base64.b64decode(encoded), width * 3
    rows = (b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"".join(rows), 9)
    parts = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
