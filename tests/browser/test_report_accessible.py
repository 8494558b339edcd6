"""axe-core's findings on the report: none that is serious, in both modes, wide and narrow."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def axe():
    module = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    return module.Axe()


def _findings(found) -> list[str]:
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found.response["violations"]
        for node in one["nodes"]
        if one["impact"] in GRAVE
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_serious(width, scheme, sample, show, axe, tmp_path):
    data = sample.build(4, 20)
    data["clips"][0]["flags"], data["clips"][0]["reasons"] = ["clipped"], {"clipped": "3 samples"}
    data["systems"][1]["figures"]["wer"]["difference"] |= {"margin": 0.005, "verdict": "equivalent"}
    data["systems"][2]["figures"]["wer"]["difference"] |= {"margin": 0.005, "verdict": "inferior"}
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"></svg>'
    plots = [{"title": "Cache and WER", "svg_light": svg, "svg_dark": svg}]
    data["tradeoff"] = {"note": "Closed form.", "plots": plots}
    against = [{"system": "mamba-16", "figure": "wer", "verdict": "undecided"}]
    values = {"wer": {"value": 0.02, "unit": "fraction", "text": "2.0 %"}}
    row = {"system": "X", "source": "paper", "date": "2026", "values": values, "against": against}
    data["published"] = {"note": "Elsewhere.", "rows": [row], "reasons": ["None."]}
    sample.write_audio(tmp_path, data)
    opened = show(data, width=width, scheme=scheme)
    page = opened.page
    for details in page.locator("details > summary").all():
        details.click()
    page.get_by_label("Regressions").check()
    page.locator("tr.clip .fold").first.click()
    page.locator(".card .play").first.click()
    opened.until("document.getElementById('audio').currentTime > 0.05")
    page.evaluate("document.getElementById('audio').pause()")
    page.screenshot(path=tmp_path / f"axe-{scheme}-{width}.png", full_page=True)
    assert _findings(axe.run(page)) == []
    opened.quiet()
