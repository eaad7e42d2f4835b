"""Links with something changed in them open a page or end in a sentence; the long run is that of
`tests/test_mutations.py`."""

import json
import os
import random
from pathlib import Path
from typing import Any

from tests.dashboards.test_views import problems
from tests.mutations import changed_json

N = int(os.environ.get("INTERP_MUTATIONS", "300")) // 30
EARLIER = Path(__file__).parents[1] / "earlier"


def spelled(value: Any) -> list[str]:
    """What a link holds, as an address spells it: one text or several, all of them Unicode."""
    values = value if isinstance(value, list) else [value]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in values]
    return [text.encode(errors="replace").decode() for text in texts]


def test_whatever_a_link_holds_its_page_opens(application):
    links = json.loads((EARLIER / "links.json").read_text())
    links = [link for link in links if link["query"]]
    faults = []
    for seed in range(N):
        draw = random.Random(f"link {seed}")
        link = draw.choice(links)
        query = {key: spelled(value) for key, value in changed_json(link["query"], draw).items()}
        query = {key: value for key, value in query.items() if key and value}
        page = application(link["page"], **query)
        if found := problems(page):
            faults.append(f"seed {seed}: {link['page']} {query}: {found[0]}")
    assert not faults, f"{len(faults)} of {N}:\n" + "\n".join(faults)
