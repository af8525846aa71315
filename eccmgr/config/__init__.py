"""The configuration: its files and their grammar, the tree they make, its schema, and its changes.

All file access goes through `files.Files`, and only `expected` uses Redis. A daemon needs five things: `store.Store`
(the live configuration), `parts` (the parts of the daemon, which follow each change), `options` (the effective options
as Python values), `completion.candidates` (the completion of the `config` commands), and those commands, in
`eccmgr.commands.config`.

- From bytes to items: `lexer`, `lines`, `parse` (and `grammar.lark`, for readers), `document`, `values`, `faults`.
- From files to a tree: `files`, `load`, `tree`, `printing`.
- The schema: `schema`, `option_types`, `known` (the table), `check`, `unknown`, `times`, `masking`, `reference`.
- Effective values: `effective`, `options`.
- Changes: `changes`, `transaction`, `store`, `parts`, `holding`; and back to the files: `writeback`, `edits`.
- Operands on the console: `paths`, `completion`.
- Files of other programs: `busfile`, `expected` (publishes the nodes of the bus files), `groupfile`.
"""
