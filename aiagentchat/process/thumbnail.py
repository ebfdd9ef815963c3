"""A small picture of a large one: run as a program of its own inside of a sandbox, never by the daemon itself.

    python -ISE thumbnail.py PILLOW FILE WIDTH HEIGHT

It reads FILE, and prints one line of JSON: what it is, how large, and the bytes in base64; or why there is none. The
picture may be made by anybody, so whoever reads the line takes nothing in it on trust.

Only Pillow, whose package is the folder PILLOW, and no import of ours: the sandbox has nothing else.
"""

import base64
import importlib.util
import io
import json
import sys
from pathlib import Path

MOST_PIXELS = 50_000_000
"""What says that it has more is not unpacked: as 50 megapixels it takes 200 MB."""
QUALITY = 80
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


def small(file: Path, width: int, height: int) -> dict[str, object]:
    """What the line says."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow refuses twice that
    with Image.open(file, formats=FORMATS) as large:
        large.draft("RGB", (width, height))  # a JPEG need not be unpacked as a whole
        picture = ImageOps.exif_transpose(large)
        picture.thumbnail((width, height))
        has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
        made = io.BytesIO()
        if has_alpha:
            picture.convert("RGBA").save(made, "PNG", optimize=True)
        else:
            picture.convert("RGB").save(made, "JPEG", quality=QUALITY, optimize=True)
    return {"data": base64.b64encode(made.getvalue()).decode("ascii")}


def bring_in(package: Path) -> None:
    """Make the package PIL known by where it is: what lies around it cannot be looked into."""
    spec = importlib.util.spec_from_file_location(
        "PIL", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(package)
    sys.modules["PIL"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def main() -> None:
    """The program."""
    package, file, width, height = sys.argv[1:5]
    try:
        bring_in(Path(package))
        said = small(Path(file), int(width), int(height))
    except Exception as error:  # noqa: BLE001 - whatever the picture brings about, the line says it
        said = {"why": type(error).__name__}
    print(json.dumps(said))  # noqa: T201 - what it is there for


if __name__ == "__main__":
    main()
