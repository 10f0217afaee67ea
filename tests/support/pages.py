"""The code of a page, run as it stands there: Python in one namespace, commands, and files where a reader keeps them.

A block whose first line is a comment with a file's name, as ``# mine.toml``, is that file. A block of text is what the
block before it prints, in which ``...`` stands for anything, and numbers are right to their last digit; below the mark
``<!--trained-->`` they come of training, and are right within a tenth.
"""

import contextlib
import io
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from command_line import called
from markdown_it import MarkdownIt

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")

FILE = re.compile(r"# ([\w/]+\.\w+)\n")

#: How far a number of training may be off: as a share of it, or by itself.
TRAINED = 0.1, 0.06


@dataclass(frozen=True)
class Block:
    """A block of code or text, and the line of the page on which it begins."""

    language: str
    text: str
    line: int
    trained: bool = False


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in their order."""
    lines = page.splitlines()
    for token in MarkdownIt().parse(page):
        if token.type == "fence":
            begin = token.map[0]
            trained = begin > 0 and lines[begin - 1] == "<!--trained-->"
            yield Block(token.info, token.content, begin + 1, trained)


def run_page(page: str, folder: Path) -> list[tuple[Block, str]]:
    """Run all blocks of a page in a folder; every block of text with what was printed in its place.

    A command that ends in ``&`` goes on in the background until the page ends.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    printed, found = "", []
    with contextlib.ExitStack() as background:
        for block in blocks(page):
            if block.language == "text":
                found.append((block, printed))
            elif named := FILE.match(block.text):
                (folder / named[1]).write_text(block.text)
            elif block.language == "python":
                printed = _python(block, names, folder)
            elif block.language == "sh":
                lines = block.text.replace("\\\n", " ").splitlines()
                printed = "".join(_command(line, folder, background) for line in lines)
            else:
                raise AssertionError(f"line {block.line}: nothing says how to run {block.language!r}")
    return found


def _python(block: Block, names: dict[str, object], folder: Path) -> str:
    code = compile("\n" * block.line + block.text, "the page", "exec")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)  # what the page tells its reader to run
    return out.getvalue()


def _command(line: str, folder: Path, background: contextlib.ExitStack) -> str:
    """What a command prints: one of otbench alone runs here, any other in a shell in which otbench is a command."""
    if re.fullmatch(r"otbench [^&|>]*", line):
        here = called(*shlex.split(line, comments=True)[1:], cwd=folder)
        assert here.code == 0, f"{line}\n{here.err}"
        return here.out
    shell = {"cwd": folder, "env": os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}}
    if line.endswith("&"):
        started = subprocess.Popen(["bash", "-c", f"exec {line.rstrip('& ')}"], **shell)
        background.callback(started.wait)
        background.callback(started.terminate)
        if port := re.search(r"--port (\d+)", line):
            _answers(int(port[1]))
        return ""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, **shell)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _answers(port: int) -> None:
    """Wait until something listens at a port of this machine, as a reader would before the next command."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError(f"nothing listens at port {port}")


def difference(block: Block, printed: str) -> str | None:
    """In what a block of text is not what was printed; None where it is."""
    words = [part for part in re.split(r"(\s+|\.\.\.)", block.text.strip()) if part.strip()]
    pattern, due = "", []
    for word in words:
        if word == "...":
            pattern += r"\s*.*?\s*"
            continue
        for number in NUMBER.findall(word):
            due.append(number)
        pattern += r"\s*" + r"([-+\d.e]+)".join(map(re.escape, NUMBER.split(word)))
    match = re.fullmatch(pattern + r"\s*", printed, re.S)
    if match is None:
        return f"line {block.line}: printed was\n{printed}\nwhere the page has\n{block.text}"
    for told, came in zip(due, match.groups(), strict=True):
        if not _agree(told, came, block.trained):
            return f"line {block.line}: {came} was printed where the page has {told}"
    return None


def _agree(told: str, came: str, trained: bool) -> bool:
    """Whether a number is the one told: to the last digit told, or as near as training comes again."""
    mantissa, _, exponent = told.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    share, least = TRAINED if trained else (0.0, 0.0)
    return abs(float(told) - float(came)) <= max(0.51 * unit, share * abs(float(told)), least)
