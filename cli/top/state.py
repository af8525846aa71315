"""What the operator has chosen to see, and what each key changes of that. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cli.top.rows import LATE, NODE_HEADINGS, PANES, Pane, PaneRow

_BY_DIGIT = {pane.digit: pane for pane in PANES}


@dataclass
class TopState:
    """The chosen pane, its filter and its order, and what lies over the panes.

    `inside` is the subcluster whose nodes the first pane shows, in small letters: "" for the subclusters themselves,
    LATE for the nodes that are late or absent.
    """

    chosen: Pane = PANES[0]
    alone: bool = False
    inside: str = ""
    paused: bool = False
    help: bool = False
    detail: str = ""
    """The key of the row whose fields lie over the panes."""
    typing: str | None = None
    """The filter that is being typed; None while none is."""
    said: str = ""
    """The answer to the last key."""
    filters: dict[str, str] = field(default_factory=dict)
    orders: dict[str, int] = field(default_factory=dict)
    selected: dict[str, str] = field(default_factory=dict)
    """The key of the selected row of each pane."""

    def headings(self, pane: Pane) -> Sequence[str]:
        """The headings of a pane."""
        return NODE_HEADINGS if pane is PANES[0] and self.inside else pane.headings

    def order(self, pane: Pane) -> int | None:
        """The column by which a pane is sorted; None: by trouble."""
        column = self.orders.get(pane.digit)
        return column if column is not None and column < len(self.headings(pane)) else None

    def filter(self, pane: Pane) -> str:
        """The words that the rows of a pane must hold."""
        if pane is self.chosen and self.typing is not None:
            return self.typing
        return self.filters.get(pane.digit, "")

    def index(self, pane: Pane, rows: Sequence[PaneRow]) -> int:
        """The number of the selected row; 0 if it is not there."""
        key = self.selected.get(pane.digit)
        return next((number for number, row in enumerate(rows) if row.key == key), 0)

    # What the keys do.

    def choose(self, digit: str) -> None:
        """Choose a pane; the pane that is chosen already gets the whole screen, or gives it back."""
        pane = _BY_DIGIT[digit]
        self.alone = not self.alone if pane is self.chosen else self.alone
        self.chosen, self.detail, self.help, self.said = pane, "", False, ""

    def choose_next(self, by: int) -> None:
        """Choose the pane after this one, or before it."""
        self.chosen = PANES[(PANES.index(self.chosen) + by) % len(PANES)]

    def move(self, rows: Sequence[PaneRow], by: int) -> None:
        """Select the row that is `by` rows further down."""
        if rows:
            at = min(len(rows) - 1, max(0, self.index(self.chosen, rows) + by))
            self.selected[self.chosen.digit] = rows[at].key

    def open(self, rows: Sequence[PaneRow]) -> None:
        """Open the selected row: a subcluster shows its nodes, anything else its fields."""
        self.said = ""
        if self.detail or not rows:
            self.detail = ""
            return
        row = rows[self.index(self.chosen, rows)]
        if self.chosen is PANES[0] and not self.inside:
            self.inside = row.key
            self.selected.pop(PANES[0].digit, None)
            self.filters.pop(PANES[0].digit, None)
        else:
            self.detail = row.key

    def back(self) -> None:
        """Close what lies on top: the help, the fields of a row, the filter, the nodes of a subcluster, a pane that is
        alone."""
        self.said = ""
        if self.help or self.detail:
            self.help, self.detail = False, ""
        elif self.filters.pop(self.chosen.digit, ""):
            pass
        elif self.inside and self.chosen is PANES[0]:
            left, self.inside = self.inside, ""
            self.selected[PANES[0].digit] = left
        else:
            self.alone = False

    def sort(self) -> None:
        """Sort by the next column; after the last one by trouble again."""
        column = self.order(self.chosen)
        following = 0 if column is None else column + 1
        if following < len(self.headings(self.chosen)):
            self.orders[self.chosen.digit] = following
        else:
            self.orders.pop(self.chosen.digit, None)

    def show_late(self) -> None:
        """Show who is late or absent; the same key shows the subclusters again."""
        self.inside = "" if self.inside == LATE and self.chosen is PANES[0] else LATE
        self.chosen, self.detail, self.help, self.said = PANES[0], "", False, ""

    def begin_filter(self) -> None:
        """Begin to type a filter."""
        self.typing, self.said = self.filters.get(self.chosen.digit, ""), ""

    def end_filter(self, *, keep: bool) -> None:
        """End the typing of a filter, and keep it or not."""
        if keep and self.typing is not None:
            self.filters[self.chosen.digit] = self.typing.strip()
        self.typing = None
