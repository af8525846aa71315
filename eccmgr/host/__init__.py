"""This process and its host: files opened safely, standard streams, memory, the service manager."""
