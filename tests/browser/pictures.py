"""What a camera sees: a QR code, read from a picture of the page."""

import base64

import zxingcpp
from playwright.sync_api import Locator, Page

# The browser itself unpacks the picture: one byte of grey per pixel.
GREY = """async png => {
  const bytes = Uint8Array.from(atob(png), c => c.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  const drawing = new OffscreenCanvas(image.width, image.height).getContext('2d');
  drawing.drawImage(image, 0, 0);
  const { data } = drawing.getImageData(0, 0, image.width, image.height);
  let text = '';
  for (let i = 0; i < data.length; i += 4)
    text += String.fromCharCode((data[i] + data[i + 1] + data[i + 2]) / 3);
  return [image.width, image.height, btoa(text)];
}"""


def qr(element: Locator, blank: Page) -> str:
    """The text of the one code in a picture of this element. `blank` may run scripts."""
    picture = base64.b64encode(element.screenshot()).decode()
    width, height, grey = blank.evaluate(GREY, picture)
    pixels = memoryview(base64.b64decode(grey)).cast("B", (height, width))
    (found,) = zxingcpp.read_barcodes(pixels)
    return str(found.text)
