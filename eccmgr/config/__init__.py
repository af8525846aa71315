"""The configuration: its files and their grammar, the tree that they make, its schema, and its changes.

It has four folders. Each uses only the folders before it:

- `syntax`: from bytes to a tree, with every comment and blank kept (and `grammar.lark`, for readers), and its changes.
- `schema`: the options: their types, every known scope and option, checks, secrets, paths, printing.
- `files`: the files on the disk, read with their includes, bus files, group files, and changes written back.
- `live`: the configuration in force: effective values, transactions, the store, the parts that follow a change.

All file access goes through `files.disk.Files`, and only `live.expected` uses Redis. A daemon needs `live.store.Store`,
`live.parts`, `live.options` and `schema.completion`; the `config` commands are in `eccmgr.commands.config`.
"""
