"""The polling routes behind the namespaces, and the routes that start work."""
