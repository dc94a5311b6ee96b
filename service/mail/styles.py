"""Styles of the mails, set inline once: in the templates' own start tags, before a letter is rendered.

Mail programs drop style sheets, so every element carries its own declarations. The sheet is plain on purpose
(names of elements and of classes, nothing nested), so that a tag alone says which rules are its own.
"""

import re

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_PLAIN_SELECTOR = re.compile(r"[a-z][a-z0-9]*|\.[a-z][a-z-]*")
_START_TAG = re.compile(r'<([a-z][a-z0-9]*)((?:\s+[a-z-]+="[^"]*")*)\s*>')
_CLASSES = re.compile(r'\sclass="([^"]*)"')

Sheet = dict[str, dict[str, str]]
"""Values by property by selector, in the order in which later ones win over earlier."""


def read_sheet(css: str) -> Sheet:
    """Read a style sheet of plain rules.

    Raises:
        ValueError: a selector is more than an element's or a class's name, or a value holds a double quote.
    """
    sheet: Sheet = {}
    for selectors, declarations in _RULE.findall(_COMMENT.sub("", css)):
        for selector in (selector.strip() for selector in selectors.split(",")):
            if not _PLAIN_SELECTOR.fullmatch(selector) or '"' in declarations:
                raise ValueError(f"can't be set inline: {selector} {{{declarations}}}")
            _add(sheet.setdefault(selector, {}), _read_declarations(declarations))
    return sheet


def _read_declarations(text: str) -> dict[str, str]:
    pairs = (one.partition(":") for one in text.split(";") if one.strip())
    return {name.strip(): re.sub(r"\s*,\s*", ",", " ".join(value.split())) for name, _, value in pairs}


def _add(declared: dict[str, str], others: dict[str, str]) -> None:
    """Add others behind; a property that is there already is moved there, for shorthands cover others."""
    for name, value in others.items():
        declared.pop(name, None)
        declared[name] = value


def inline(source: str, sheet: Sheet) -> str:
    """Return the HTML, or the template of it, with the sheet's declarations in its start tags.

    Raises:
        ValueError: a tag has a style of its own already.
    """

    def styled(tag: re.Match[str]) -> str:
        name, attributes = tag.groups()
        classes = _CLASSES.search(attributes)
        wanted = {name, *(f".{one}" for one in classes[1].split())} if classes else {name}
        # An element's rules give way to a class's, wherever they stand.
        rules = sorted((rule for rule in sheet if rule in wanted), key=lambda rule: rule.startswith("."))
        if not rules:
            return tag[0]
        if " style=" in attributes:
            raise ValueError(f"two styles in {tag[0]}")
        declared: dict[str, str] = {}
        for rule in rules:
            _add(declared, sheet[rule])
        # No blank that means nothing: ten papers have four hundred declarations, and Gmail cuts long mails.
        style = ";".join([f"{name}:{value}" for name, value in declared.items()])
        return f'<{tag[1]}{attributes} style="{style}">'

    return _START_TAG.sub(styled, source)
