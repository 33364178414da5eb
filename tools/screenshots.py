"""Pictures of a run's HTML page in headless Chromium: wide, on a phone, light and dark.

    .venv/bin/python tools/screenshots.py runs/fit/report.html --out runs/pictures

A tool for those who change the page: look at the pictures. It fails if a page asks the network for
anything, if it is wider than a phone, or if a picture is empty. Debian's packages chromium and
chromium-headless-shell both do.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
VIEWS = {"wide": (1100, 1900), "phone": (390, 3000)}
SCHEMES = {"light": 1, "dark": 0}
WIDER = """<script>document.title = document.documentElement.scrollWidth > innerWidth</script>"""


def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed")
    return found


def run(page: Path, *flags: str) -> str:
    with tempfile.TemporaryDirectory() as profile:
        command = [browser(), *FLAGS, f"--user-data-dir={profile}", *flags, page.resolve().as_uri()]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def picture(page: Path, view: str, scheme: str, out: Path) -> Path:
    file = (out / f"{page.stem}-{view}-{scheme}.png").resolve()
    width, height = VIEWS[view]
    run(
        page,
        f"--window-size={width},{height}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--screenshot={file}",
    )
    with Image.open(file) as image:
        colours = image.convert("RGB").getcolors(1 << 24) or []
        corner = image.convert("L").getpixel((2, 2))
    assert len(colours) > 50, f"{file} is empty"
    assert (corner > 128) == (scheme == "light"), f"{file} is not {scheme}"
    return file


def check(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"<(script|link|img|iframe)\b|url\(|@import|https?://", text)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "page.html"
        copy.write_text(text.replace("</body>", WIDER + "</body>"), "utf-8")
        shown = run(copy, "--window-size=390,3000", "--dump-dom")
    assert "<title>false</title>" in shown, f"{page} is wider than a phone"


def main(
    page: Annotated[Path, typer.Argument(help="A report.html.")],
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path("runs/pictures"),
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    check(page)
    for view in VIEWS:
        for scheme in SCHEMES:
            print(picture(page, view, scheme, out))


if __name__ == "__main__":
    typer.run(main)
