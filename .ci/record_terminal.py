"""Run commands and draw what they print as a terminal, in one SVG: the picture of the README's two commands.

    .venv/bin/python .ci/record_terminal.py docs/pictures/terminal.svg 'otbench run' 'otbench check quick'

They run in an empty folder, as a newcomer's do. Seconds differ from machine to machine, all else is the same each time.
The picture asks for no font and no file from elsewhere.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

#: Characters in a line, as many as are readable on a page.
COLUMNS = 110

#: rich's own drawing of a terminal, less the fonts that it loads from the network.
DRAWING = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
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
    """What a command prints, less its progress, which goes to the other stream."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    surroundings = {**os.environ, "PATH": tools, "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    done = subprocess.run(command, shell=True, cwd=folder, env=surroundings, text=True, check=True,
                          stdout=subprocess.PIPE)  # fmt: skip
    return done.stdout.rstrip("\n")


def main() -> None:
    """Record the commands given after the picture's name."""
    picture, commands = Path(sys.argv[1]), sys.argv[2:]
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, color_system="truecolor", force_terminal=True)
        with tempfile.TemporaryDirectory() as folder:
            for number, command in enumerate(commands):
                console.print(Text(("\n" if number else "") + f"$ {command}", style="bold green"))
                console.print(Text(printed(command, folder)))
        drawn = console.export_svg(title="otbench", theme=SVG_EXPORT_THEME, code_format=DRAWING, unique_id="otbench")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(drawn)


if __name__ == "__main__":
    main()
