"""`oodbench site`: the leaderboard as static pages that open from a disk and from any web host.

Every number is a text that the tables of `oodbench.report` made; every text of a record is escaped by the templates.
Pages work without a script; with one they sort, filter, compare and draw, and ask for no file outside the folder.
"""
