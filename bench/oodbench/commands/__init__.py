"""The verbs of the command line, a module each: its `command` is the verb, its docstring the help, `EXAMPLES` the rest.

`oodbench.commands.grammar` reads command lines; `oodbench.commands.options` holds the options that verbs share.
Whatever a verb needs is imported inside its `command`: help and completion wait for none of it.
"""
