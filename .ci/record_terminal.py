"""Run commands and draw what they print as a terminal, in one SVG: the picture of the README's two commands.

    .venv/bin/python .ci/record_terminal.py docs/pictures/terminal.svg 'otbench run' 'otbench check quick'

They run in an empty folder, as a newcomer's do. Seconds differ from machine to machine, all else is the same each time.
The picture asks for no font and no file from elsewhere.
"""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

#: Characters in a line, as many as are readable on a page.
COLUMNS = 132

#: Lines of a command that are drawn; of longer ones the drawing says how many more there were.
LINES = 12

#: rich's own drawing of a terminal, less the fonts that it loads from the network.
DRAWING = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def printed(command: str, folder: str) -> str:
    """What a command prints on a terminal, its first lines; progress goes to the other stream, which is not drawn."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    surroundings = {**os.environ, "PATH": tools, "NO_COLOR": "1", "COLUMNS": str(COLUMNS)}
    with subprocess.Popen(command, shell=True, cwd=folder, env=surroundings, stdout=theirs) as running:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # a terminal whose program has ended cannot be read
            while data := os.read(ours, 2**16):
                text += data
    os.close(ours)
    if running.returncode:
        raise SystemExit(f"{command} ended with exit status {running.returncode}")
    lines = text.decode().replace("\r\n", "\n").rstrip("\n").split("\n")
    more = len(lines) - LINES
    return "\n".join([*lines[:LINES], f"[... {more} lines more]"] if more > 1 else lines)


def main() -> None:
    """Record the commands given after the picture's name."""
    picture, commands = Path(sys.argv[1]), sys.argv[2:]
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, color_system="truecolor", force_terminal=True)
        with tempfile.TemporaryDirectory() as folder:
            for number, command in enumerate(commands):
                console.print(Text(("\n" if number else "") + f"$ {command}", style="bold green"))
                console.print(Text.from_ansi(printed(command, folder)))
        drawn = console.export_svg(title="otbench", theme=SVG_EXPORT_THEME, code_format=DRAWING, unique_id="otbench")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(drawn)


if __name__ == "__main__":
    main()
