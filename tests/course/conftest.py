from pathlib import Path
from typing import Any

import pytest

LAB = """---
title: Demo
description: A lab for tests.
weight: 10
time: 5
difficulty: beginner
objectives: [See how a lab is read]
needs: [istio, fleet]
---

# Demo

Hello.

```bash
echo hi
```

```output
hi
```

## Task: Do it

<!-- task: do
checks: [demo.done, demo.well]
-->

Do *it*.

<details>
<summary>Hint 1: a nudge</summary>

Think.

</details>

<details>
<summary>Hint 2: a direction</summary>

Think harder.

</details>

<details>
<summary>Hint 3: the answer</summary>

```bash
touch done
```

</details>

<details>
<summary>Why this works</summary>

Because.

</details>

## Quiz

### Is it done?

1. Yes
2. No, *never*

<details>
<summary>Answer</summary>

**1.** It is.

</details>
"""

WRONG = """---
title: Not done at all
task: do
fails: demo.done
---

Nothing happens.

```bash
true
```
"""

RIGHT = """---
title: Done otherwise
task: do
---

It happens.

```bash
true > done
```
"""

BASE = """apiVersion: v1
kind: Namespace
metadata:
  name: fleet
"""


class Content:
    """A root with labs/ and apps/, whose files tests change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "labs" / "10-demo"
        self.write("labs/10-demo/lab.md", LAB)
        self.write("labs/10-demo/right/otherwise.md", RIGHT)
        self.write("labs/10-demo/wrong/not-done.md", WRONG)
        self.write("labs/base/10-fleet.yaml", BASE)
        (root / "apps").mkdir()

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def change(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


@pytest.fixture
def content(tmp_path: Path) -> Any:
    return Content(tmp_path)
