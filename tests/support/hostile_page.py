"""Names that would run on a page where they are not escaped, and where its screenshots are kept."""

from pathlib import Path

#: Where screenshots are kept, to be looked at.
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"

#: Text that would run, or show as something else, wherever it is not escaped.
HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"'`${1}{{7*7}}\u202e\u0007&lt;<b>"
)

#: The name of the hostile folder: no slash, and no character that a file system refuses.
FOLDER = "<img src=x onerror=window.hacked=1> \"it's\" & co"
