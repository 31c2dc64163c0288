"""Constants of a description, as far as they are numbers, strings and lists of them: read from the text of
the recipe and of what it imports, so that the peer trains with what poa trains with."""
import math
import pathlib
import re


def statements(path):
    """(keyword, rest) of each statement that begins in the first column, imports followed first."""
    text = re.sub(r"#.*", "", path.read_text())
    parts = re.split(r"^(\w+)\b", text, flags=re.M)
    for keyword, rest in zip(parts[1::2], parts[2::2]):
        if keyword == "import":
            yield from statements(path.parent / rest.strip().strip('"'))
        else:
            yield keyword, rest


def assignments(rest):
    """name = value pairs between commas outside brackets."""
    depth, piece, pieces = 0, "", []
    for c in rest:
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            pieces.append(piece)
            piece = ""
        else:
            piece += c
    for piece in pieces + [piece]:
        name, _, value = piece.partition("=")
        yield name.strip(), " ".join(value.split())


def constants(path):
    known, fixed = dict(int=int, min=min, max=max, sqrt=math.sqrt, floor=math.floor, length=len), {}
    found = list(statements(pathlib.Path(path)))
    for keyword, rest in found:
        if keyword == "set":
            for name, value in assignments(rest):
                fixed[name] = eval(value, {}, {**known, **fixed})
    for keyword, rest in found:
        if keyword == "const":
            for name, value in assignments(rest):
                known[name] = fixed[name] if name in fixed else eval(value, {}, known)
    return known
