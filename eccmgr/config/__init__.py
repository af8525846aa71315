"""The configuration: files and their grammar, the tree they make, what is known of it, and how it is changed.

Nothing here opens a socket or runs a loop; files are reached through `files.Files`. A daemon needs four things:
`store.Store` (the live configuration, and who is told when it changes), `options` (what holds, as Python values),
`commands.commands` (the `config` commands for its table) and `completion.candidates` (their completion).

- From bytes to items: `lexer`, `parse` (and `grammar.lark`, to be read), `document`, `values`, `faults`.
- From files to a tree: `files`, `load`, `tree`, `printing`.
- What is known: `schema`, `option_types`, `known` (the table), `check`, `masking`, `reference`.
- What holds: `effective`, `options`.
- Changes: `changes`, `transaction`, `store`; and back to files: `writeback`, `edits`.
- The console: `commands`, `paths`, `completion`.
- Files of other programs: `busfile`, `groupfile`.
"""
