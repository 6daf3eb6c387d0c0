"""What was found wrong with an object, and the words in which Istio says it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Findings:
    """Errors refuse an object, warnings only accompany it."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    listed: bool = False
    """Whether even a single error is written as a list, as Go's multierror does for some checks."""

    def refuse(self, message: str, *, listed: bool = False) -> None:
        """One more reason to refuse the object. `listed`: Istio prints all of them as a list then."""
        self.errors.append(message)
        self.listed = self.listed or listed

    def refuse_if(self, condition: bool, message: str, *, listed: bool = False) -> None:
        """`refuse`, under a condition."""
        if condition:
            self.refuse(message, listed=listed)

    def refuse_all(self, messages: Iterable[str], *, listed: bool = False) -> None:
        """`refuse` for each of these."""
        for message in messages:
            self.refuse(message, listed=listed)

    def warn(self, message: str) -> None:
        """One more Warning, which refuses nothing."""
        self.warnings.append(message)

    def text(self) -> str:
        """All errors in one text: the only one as it is, several as Go's multierror lists them."""
        if len(self.errors) == 1 and not self.listed:
            return self.errors[0]
        count = len(self.errors)
        lines = "".join(f"\t* {error}\n" for error in self.errors)
        return f"{count} error{'' if count == 1 else 's'} occurred:\n{lines}\n"
