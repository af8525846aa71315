"""The prompt: line editing with history and completion, the hint under the line, and pasted lines."""

from collections.abc import Callable
from dataclasses import dataclass

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import Completer
from prompt_toolkit.cursor_shapes import ModalCursorShapeConfig
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import Always, Condition, has_completions, has_focus, is_done
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window, walk
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from cli.console.hints import Hint
from cli.console.watching import cut
from eccmgr.text.unseen import unseen_marked, visible_line

_GAP = 2
_STYLE = Style.from_dict({"hint": "", "hint.rest": "ansibrightblack", "cut-off": "ansired bold"})


@dataclass(frozen=True)
class PromptState:
    """What the prompt shows: the time, the endpoint, and whether the daemon can be reached."""

    clock: str
    endpoint: str
    cut_off: bool = False

    def fragments(self) -> StyleAndTextTuples:
        """`12:41:10 /tmp/2025> `, or `?` in place of `>` while the console is cut off."""
        end = ("class:cut-off", "?") if self.cut_off else ("", ">")
        return [("", f"{self.clock} {visible_line(self.endpoint)}"), end, ("", " ")]


@dataclass(frozen=True)
class Pasted:
    """Several lines that were pasted at once."""

    lines: tuple[str, ...]


Typed = str | Pasted


def pasted_lines(text: str) -> tuple[str, ...]:
    """The lines of a pasted `text` that are not blank."""
    return tuple(line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip())


def hint_lines(hint: Hint, columns: int) -> tuple[str, str]:
    """The two parts of a hint, in one line if they fit, else in two lines that are cut."""
    first, rest = visible_line(hint.first), visible_line(hint.rest)
    if get_cwidth(first) + get_cwidth(rest) + _GAP <= columns:
        return first, " " * _GAP + rest if rest else ""
    return cut(first, columns), f"\n{' ' * _GAP}{cut(rest, columns - _GAP)}" if rest else ""


class Prompt:
    """Reads what the user types; a test gives it an `input` and `output` of its own."""

    def __init__(
        self,
        state: Callable[[], PromptState],
        hint: Callable[[str], Hint],
        completer: Completer,
        history: History,
        *,
        color: bool = True,
        terminal_input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self._state, self._hint = state, hint
        self._session: PromptSession[Typed] = PromptSession(
            lambda: self._state().fragments(),
            history=history,
            completer=completer,
            complete_while_typing=False,
            complete_in_thread=True,
            input_processors=[UnseenInput()],
            key_bindings=self._keys(),
            enable_suspend=True,
            cursor=ModalCursorShapeConfig(),
            style=_STYLE,
            color_depth=ColorDepth.DEPTH_4_BIT if color else ColorDepth.DEPTH_1_BIT,
            input=terminal_input,
            output=output,
        )
        self._place_hint()

    def read(self) -> Typed:
        """The next line, without the white space around it. Raises EOFError and KeyboardInterrupt."""
        typed = self._session.prompt()
        return typed if isinstance(typed, Pasted) else typed.strip()

    def ask(self, question: str) -> str:
        """Ask a question; answers what the user types, which no history keeps. Ctrl-C and Ctrl-D are no answer."""
        asking: PromptSession[str] = PromptSession(input=self._session.input, output=self._session.output)
        try:
            return asking.prompt(question).strip()
        except (KeyboardInterrupt, EOFError):
            return ""

    def edit_like(self, editor: str) -> None:
        """Take keys as `vi` or as `emacs`."""
        self._session.editing_mode = EditingMode(editor.upper())

    def typed_before(self) -> list[str]:
        """The lines that were typed, in order of time."""
        return self._session.history.get_strings()

    def remember(self, line: str) -> None:
        """Add a line that was not typed at the prompt to the history."""
        self._session.history.append_string(line)

    def show_above(self, show: Callable[[], None]) -> bool:
        """Call `show` soon, above the prompt; False if no prompt is shown. Another thread may call this."""
        app = self._session.app
        loop, context = app.loop, app.context
        if not app.is_running or loop is None or context is None:
            return False
        try:
            loop.call_soon_threadsafe(lambda: run_in_terminal(show), context=context.copy())
        except RuntimeError:  # the line was typed at this moment, and the loop is closed
            return False
        return True

    def draw_again(self) -> None:
        """Draw the prompt and the hint again soon, if they are shown. Another thread may call this."""
        self._session.app.invalidate()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add(Keys.BracketedPaste, filter=has_focus(DEFAULT_BUFFER))
        def paste(event: KeyPressEvent) -> None:
            """Insert a pasted line; hand on several ones, which are not to run before a question."""
            buffer = event.current_buffer
            if len(pasted_lines(event.data)) <= 1:
                buffer.insert_text(event.data.strip("\r\n"))
                return
            before, behind = buffer.document.text_before_cursor, buffer.document.text_after_cursor
            buffer.reset()
            event.app.exit(result=Pasted(pasted_lines(f"{before}{event.data}{behind}")))

        return keys

    def _place_hint(self) -> None:
        """Put the hint right under the line. The session's own toolbar would be at the bottom of the screen."""
        line = self._session.layout.current_window
        line.dont_extend_height = Always()
        under = ConditionalContainer(
            Window(FormattedTextControl(self._hint_fragments), dont_extend_height=True),
            ~is_done & ~has_completions & Condition(lambda: self._hint_now().first != ""),
        )
        for container in walk(self._session.layout.container):
            if isinstance(container, HSplit) and any(
                isinstance(child, ConditionalContainer) and child.content is line for child in container.children
            ):
                container.children.append(under)
                return

    def _hint_now(self) -> Hint:
        text = self._session.default_buffer.text
        return self._hint(text) if text.strip() else Hint()

    def _hint_fragments(self) -> StyleAndTextTuples:
        first, rest = hint_lines(self._hint_now(), self._session.app.output.get_size().columns)
        return [("class:hint", first), ("class:hint.rest", rest)]


class UnseenInput(Processor):
    """Shows what nobody sees in the typed line: pasted characters must not reorder or hide what is about to run."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """The same fragments, of the same length."""
        return Transformation(
            [(style, unseen_marked(text), *more) for style, text, *more in transformation_input.fragments]  # type: ignore[misc]
        )
