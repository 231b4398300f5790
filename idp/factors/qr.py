"""A QR code as a picture that any page can hold: plain SVG, dark on white with its quiet zone, so
that a camera reads it in a dark theme too (ISO/IEC 18004 section 6.3.8: four modules)."""

from io import BytesIO

import segno


def svg(text: str) -> str:
    """The `<svg>` element, without XML declaration or fixed size."""
    out = BytesIO()
    segno.make(text, error="m", micro=False).save(
        out,
        kind="svg",
        border=4,
        dark="#000",
        light="#fff",
        xmldecl=False,
        svgns=True,
        omitsize=True,
        nl=False,
        svgclass=None,
        lineclass=None,
    )
    return out.getvalue().decode()
