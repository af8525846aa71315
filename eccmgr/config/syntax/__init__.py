"""From bytes to a tree: tokens, the parser, documents that keep their text, values; and the changes of a tree."""
