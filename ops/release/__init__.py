"""Makes what a release consists of: the packages, the list of licences, the bill of materials."""
