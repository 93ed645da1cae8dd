"""What the keys do."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.judging.protocols import JudgingProtocol
from tui.text import clean

TEXT = """\
Everywhere        ? this page · g go to another screen · t dark or light
                  Ctrl+p every command by name · Ctrl+s save a screenshot
                  Ctrl+q leave (waits for saves)
                  in a text: y copy it · o open it in $PAGER · e in $EDITOR
                  * bookmark a conversation, prompt or pair; ★ is yours

Conversations     ↑ ↓ PgUp PgDn Home End move · Enter open
  / filter        class:GPT4  source:forum*  rating<5  rating:3..7
                  turns>4  rated:complete|partial|none
                  verdict:keep|drop|none  -class:GPT3 (not)
                  several parts narrow; a comma widens: class:GPT4,GPT3
                  other words are searched in the text, "in quotes" as one
  k keep · d drop · u or Backspace undo · U redo · b judge pairs blind

One conversation  ↑ ↓ PgUp PgDn scroll · ] [ next, previous turn · m more
                  of a long turn · n p next, previous conversation
  c before and after it was cleaned: w marks · c lines · n p next change
  k keep · d drop · r give the reason · u or Backspace undo · U redo

Prompts           Enter opens the responses; / responses>4 draws>10 words
Responses         ↑ ↓ move; the text under the list is the one at the cursor
  Enter read it · space mark · w read it beside the marked (or best) one
  r rank by the next reward model · p read the prompt
  4=: tied · ⟦only on this side⟧: words the other text does not have

Pairs             Enter reads chosen and rejected side by side
  / state:win,weak,tie,conflict,chosen  labeler:gpt-4*  strength:slightly*
    selection:best  gap>1  scale:xwin4  part:train
Find              / or Ctrl+f: words or "a phrase" in all texts; Enter opens the
                  message where it stands · f only what the filter of the
                  conversations keeps · m search on
Measures          n p next, previous figure; the letters of a plot are those of
                  its table · r measure again
Bookmarks         Enter opens · * take away · n note · a everyone's
                  s keep yours of this kind as a selection
Decisions         Enter: what a rule decided; u bring back · e evidence
Flags             the evidence stands under the list · k keep · d drop
  a allow: keep all in which the same was found · u undo · U redo
Exports           Enter: rows as the trainer sees them; f faults of all rows
SQL               / type one SELECT; Enter on a row shows it whole

Judging blind     Tab moves between prompt, A and B; arrows scroll
  u i             A acceptable, A not acceptable
  j k             B acceptable, B not acceptable
  1 2 3 4 5       A clearly, A slightly, tie, B slightly, B clearly better
                  (1 … 8 with --protocol xwin4): saves the vote, then shows
                  who wrote what · v the guidelines
  Enter next · s skip · f flag · c comment · Backspace undo · r redo
  An answer is acceptable if it does what was asked, has no significant
  error and no meaningless text.

Undo and redo     also reach what you did in earlier sessions

Signs             ✓ kept · ✗ dropped · open: not decided
                  6.5 2/3: mean of two turns rated out of three
                  ⟨U+001B⟩: a character that would steer the terminal
"""


class GuidelinesScreen(ModalScreen[None]):
    """What annotators are told, with its version."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,v,q,enter", "dismiss", "Close")]

    def __init__(self, protocol: JudgingProtocol) -> None:
        super().__init__()
        self._protocol = protocol

    def compose(self) -> ComposeResult:
        """The guidelines."""
        protocol = self._protocol
        words = [f"Guidelines {protocol.guideline_version}", "", protocol.guidelines, *protocol.key_lines]
        with VerticalScroll(id="help"):
            yield Static(clean("\n".join(words)), markup=False)


class HelpScreen(ModalScreen[None]):
    """The keys of every screen, and what the signs mean."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close"),
    ]

    def compose(self) -> ComposeResult:
        """One page of text."""
        with VerticalScroll(id="help"):
            yield Static(TEXT, markup=False)
