"""What a node is: it hears commands, runs each at most once, and answers for as long as it takes."""
