"""`python3 dev.py screenshots`: writes docs/pictures, pictures of the app's page with recorded answers."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser import recorded
from tests.browser.browser import PHONE, Visitor, browsing, executable
from tests.browser.recorded import HOSTILE, model_id
from tests.browser.stand_in import World, serving

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
STOCK, SALES = (model_id(name) for name in ("Stock and deliveries", "Sales"))
OTHER_NAMES = {HOSTILE[0]: "Returns", HOSTILE[1]: "Load discounts", HOSTILE[2][:40]: "Discounts"}
"""Names to show instead of the hostile names, which are only for the tests."""
SHOTS = {
    "page-models": ("#/", "Of 9 models", "light", {"width": 1280, "height": 800}),
    "page-models-dark": ("#/", "Of 9 models", "dark", {"width": 1280, "height": 800}),
    "page-model": (f"#/models/{SALES}", "Sales", "light", {"width": 1280, "height": 1230}),
    "page-model-dark": (f"#/models/{STOCK}", "Stock", "dark", {"width": 1280, "height": 980}),
    "page-request": ("#/requests/request-run-90", "Request of", "light", {"width": 1280, "height": 800}),
    "page-batch": ("#/batches/batch-evening", "Batch of", "light", {"width": 1280, "height": 1230}),
    "page-phone": ("#/", "Of 9 models", "light", PHONE),
}


def main() -> int:
    """Takes the pictures. Returns 0 if this succeeds, or 1 if there is no browser."""
    if executable() is None:
        print("No Chromium on this machine: python -m tests.browser.install, or set CHROMIUM to its path.")
        return 1
    PICTURES.mkdir(exist_ok=True)
    models = [row for row in recorded.fleet() if row["modelName"] not in HOSTILE]
    with serving(World(models=models, other_names=OTHER_NAMES)) as world, browsing() as browser:
        for name, (place, heading, scheme, size) in SHOTS.items():
            visitor = Visitor(browser, world.base, color_scheme=scheme, viewport=size)
            visitor.open(place)
            visitor.heading(heading)
            visitor.page.screenshot(path=PICTURES / f"{name}.png")
            visitor.close()
            print(f"docs/pictures/{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
