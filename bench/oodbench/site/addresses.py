"""Where the files of a site lie, relative to its folder.

index.html, methods.html, changes.html
assets/                                style, script, and the library of charts
<matrix>/<kind>.html                   the board of a matrix and kind of failure
<matrix>/rows/<row>.html               a row
<matrix>/data/<kind>/<metric>.js       a metric by set, on demand
<matrix>/data/pairs/<kind>/<row>.js    a row against all others, on demand
<matrix>/data/rows/<row>.js            curves and histograms of a row, on demand
"""

import re

INDEX = "index.html"
METHODS = "methods.html"
CHANGES = "changes.html"


def file_name(name: str) -> str:
    """Return a name as part of an address that no host reads as something else; different names stay different.

    Example:
        >>> file_name("pixelcnn++@resnet-20")
        'pixelcnn~2b~2b~40resnet-20'
    """
    return re.sub(rb"[^A-Za-z0-9._-]", lambda byte: b"~%02x" % ord(byte[0]), name.encode()).decode("ascii")


def board(matrix: str, kind: str) -> str:
    """Return the page of a matrix and kind of failure."""
    return f"{file_name(matrix)}/{file_name(kind)}.html"


def row(matrix: str, method: str) -> str:
    """Return the page of a row."""
    return f"{file_name(matrix)}/rows/{file_name(method)}.html"


def metric_data(matrix: str, kind: str, metric: str) -> str:
    """Return the file of a metric by set."""
    return f"{file_name(matrix)}/data/{file_name(kind)}/{file_name(metric)}.js"


def pairs_data(matrix: str, kind: str, method: str) -> str:
    """Return the file of a row's differences from all others."""
    return f"{file_name(matrix)}/data/pairs/{file_name(kind)}/{file_name(method)}.js"


def row_data(matrix: str, method: str) -> str:
    """Return the file of a row's curves and histograms."""
    return f"{file_name(matrix)}/data/rows/{file_name(method)}.js"


def up(address: str) -> str:
    """Return what leads from a page to the folder of the site: "../" a folder."""
    return "../" * address.count("/")
